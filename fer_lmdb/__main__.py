"""Entry point of ``python -m fer_lmdb``, as used with torchrun."""

import os
import sys
from contextlib import suppress

from fer_lmdb.cli import main


def _exit(status: object) -> None:
    """Exit without finalizing the interpreter.

    Threads of gloo may still hold tensors, and releasing one during finalization aborts the process: a finished and
    saved run would count as failed. Source: pytorch/pytorch#179291
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    try:
        main()
    except SystemExit as ending:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            _exit(ending.code)
        raise
