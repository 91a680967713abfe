"""File locks between processes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from fer_lmdb.runtime.posix import is_windows, try_lock

_HELD: dict[tuple[int, str], FileLock] = {}
"""Locks of this process by its ID and their path: the system's locks do not exclude other threads of a process."""


class FileLock:
    """Exclusive advisory lock on a file; the system releases it when its holder ends, for whatever reason.

    Used as a context manager that releases the lock on exit; `acquire` takes it. Child processes do not inherit it
    (POSIX record lock, not flock): the workers of a killed process live on for a moment, and its successor must not
    wait for them. On a file system without locks `acquire` excludes only this process.

    Args:
        path: Lock file; created if missing. Nothing else may open it, since a record lock ends when any descriptor of
            its file is closed.
        remove: Whether to delete the file on release.
    """

    def __init__(self, path: Path, *, remove: bool = False) -> None:
        self.path = path
        self._remove = remove
        self._descriptor: int | None = None
        self._key = (0, "")

    def acquire(self) -> bool:
        """Try to take the lock without waiting.

        Returns:
            False if another process, or another lock of this one, holds it.

        Raises:
            OSError: If the file cannot be opened.
        """
        self._key = (os.getpid(), os.path.realpath(self.path))
        if _HELD.setdefault(self._key, self) is not self:
            return False
        try:
            self._descriptor = self._open_locked()
        finally:
            if self._descriptor is None:
                del _HELD[self._key]
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; no-op if it is not held."""
        if self._descriptor is None:
            return
        if self._remove and not is_windows():
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        if self._remove and is_windows():  # an open file cannot be removed there
            with suppress(OSError):  # another process has opened it since
                self.path.unlink()
        self._descriptor = None
        _HELD.pop(self._key, None)

    def _open_locked(self) -> int | None:
        while True:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o644)
            if not try_lock(descriptor):
                os.close(descriptor)
                return None
            if self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat()):
                return descriptor
            os.close(descriptor)  # the previous holder removed the file between our open and our lock

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
