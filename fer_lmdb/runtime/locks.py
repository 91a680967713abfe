"""File locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType


class FileLock:
    """Exclusive advisory lock on a file; the system releases it when its holder ends, for whatever reason.

    Used as a context manager that releases the lock on exit; `acquire` takes it. On a file system without locks
    `acquire` succeeds without locking.

    Args:
        path: Lock file; created if missing.
        inherited: Whether child processes share the lock (flock) or not (lockf). A run must not be locked by an
            inherited lock: the loader processes of a killed trainer live on for a moment and would keep the run locked
            against `train --resume`. A directory under construction takes an inherited lock: a process-wide one would
            not exclude two threads of the same process, and it is lost when any other descriptor of the file closes.
        remove: Whether to delete the file on release.
    """

    def __init__(self, path: Path, *, inherited: bool, remove: bool = False) -> None:
        self.path = path
        self._lock = fcntl.flock if inherited else fcntl.lockf
        self._remove = remove
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Try to take the lock without waiting.

        Returns:
            False if another process (or another inherited lock of this one) holds it.

        Raises:
            OSError: If the file cannot be opened.
        """
        while True:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o644)
            if not self._try(descriptor):
                os.close(descriptor)
                return False
            if self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat()):
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # the previous holder removed the file between our open and our lock

    def release(self) -> None:
        """Release the lock; no-op if it is not held."""
        if self._descriptor is None:
            return
        if self._remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _try(self, descriptor: int) -> bool:
        try:
            self._lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
