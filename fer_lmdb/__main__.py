"""``python -m fer_lmdb`` is the same as ``fer-lmdb``; torchrun starts a training so."""

import os
import sys
from contextlib import suppress

from fer_lmdb.cli import main


def _end(status: object) -> None:
    """End this process without taking the interpreter down piece by piece.

    gloo's threads may still hold tensors then, and one that lets go of a tensor meanwhile aborts the process: a
    training that is finished and saved would count as failed. Source: pytorch/pytorch#179291
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or gone
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    try:
        main()
    except SystemExit as ending:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            _end(ending.code)
        raise
