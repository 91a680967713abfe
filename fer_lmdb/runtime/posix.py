"""What only POSIX systems have, and what stands for it on Windows. Nowhere else are these modules imported."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

fcntl: Any = None
msvcrt: Any = None
resource: Any = None
with suppress(ImportError):
    import fcntl
with suppress(ImportError):
    import msvcrt
with suppress(ImportError):
    import resource

TERMINATION_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a process; Windows has no SIGHUP."""


def is_windows() -> bool:
    """Return whether the system is Windows."""
    return sys.platform == "win32"


def try_lock(descriptor: int) -> bool:
    """Try to lock a file for this process without waiting; a system or file system without locks grants it.

    On POSIX this is a record lock, which child processes do not inherit; on Windows the first byte is locked.
    """
    try:
        if fcntl is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def lock_for_append(descriptor: int) -> None:
    """Wait for a lock on a file that several processes append to; without locks, do nothing."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def fsync(path: Path) -> None:
    """Flush a file or folder to disk. Windows flushes only files, and only those that are open for writing."""
    if is_windows() and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if is_windows() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all() -> bool:
    """Flush all files of the system to disk; return False if the system cannot."""
    if not hasattr(os, "sync"):
        return False
    os.sync()
    return True


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    if resource is None:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
