"""Standard streams that the parent process closed."""

from __future__ import annotations

import os
import sys


def occupy_closed_streams() -> None:
    """Open the null device in place of closed stdin, stdout and stderr.

    A file opened later would otherwise get the descriptor of stdout or stderr, and the messages of libraries in it.
    Python's own stdin remains None, so that reading from it is an error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
