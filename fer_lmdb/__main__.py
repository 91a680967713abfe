"""``python -m fer_lmdb`` is the same as ``fer-lmdb``."""

from fer_lmdb.cli import main

if __name__ == "__main__":
    main()
