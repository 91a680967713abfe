"""Files that grow while a command runs: complete under their own name, or marked as `.partial`.

`faces.csv` is written as `faces.csv.partial` and renamed when it is closed, also after an error or a signal. Only a
process that is killed leaves the partial file; it is never overwritten, and the next writer of `faces.csv` warns of it.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import tempfile
from pathlib import Path

from fer_lmdb.errors import OutputError
from fer_lmdb.io.file_names import printable_path, sibling
from fer_lmdb.runtime.locks import FileLock
from fer_lmdb.runtime.signals import uninterrupted

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk and of a used quota."""
_RESERVES = (4 << 20, 1 << 20, 1 << 18)
_LOG = logging.getLogger(__name__)


class StreamingFile:
    """Binary file that is written from its beginning, seekable, with the interface that FFmpeg needs.

    Args:
        path: Target; its folder must exist. Locked against other processes until `commit` or `discard`.
        reserve: Whether to keep space on the disk, which is used when the disk is full, so that a trailer can still be
            written.

    Attributes:
        partial: Path of the file while it grows.
        name: The same as text; FFmpeg opens it to move an index to the beginning.
        is_full: Whether the disk is full, and the reserve in use.

    Raises:
        OutputError: If another process is writing the file.
        OSError: If it cannot be created.
    """

    def __init__(self, path: Path, *, reserve: bool = False) -> None:
        self.path = path
        self.is_full = False
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        self._lock = FileLock(sibling(path, ".", ".lock"), remove=True)
        if not self._lock.acquire():
            raise OutputError(
                f"{printable_path(path)}: another process is writing this file; wait until it finishes or choose "
                "another file"
            )
        try:
            self.partial = self._free_name()
            self.name = os.fspath(self.partial)
            self._file = self.partial.open("x+b", buffering=0)
            self._reserve = _Reserve(path.parent) if reserve else None
        except OSError:
            self._lock.release()
            raise

    def _free_name(self) -> Path:
        for number in itertools.count(1):
            partial = sibling(self.path, after=".partial" if number == 1 else f".{number}.partial")
            if not os.path.lexists(partial):
                return partial
            _LOG.warning("%s is what a killed process left; rename or delete it", printable_path(partial))
        raise AssertionError

    def write(self, data: bytes) -> int:
        """Write all of the data; on a full disk with the reserve.

        Raises:
            OSError: If the disk is full and there is no reserve.
        """
        view = memoryview(data)
        while view:
            try:
                view = view[self._file.write(view) or 0 :]
            except OSError as error:
                if error.errno not in FULL or self._reserve is None or self.is_full:
                    raise
                self._reserve.free()
                self.is_full = True
        return len(data)

    def extend_reserve(self, size: int) -> None:
        """Keep more space on the disk for the trailer of a longer file."""
        if self._reserve is None or self.is_full:
            return
        try:
            self._reserve.extend(size)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._reserve.free()
            self.is_full = True

    def append(self, data: bytes) -> None:
        """Append all of the data or nothing, whatever signal or error arrives.

        Raises:
            OSError: If it cannot be written.
        """
        with uninterrupted():
            end = self._file.seek(0, os.SEEK_END)
            try:
                self.write(data)
            except OSError:
                self._file.truncate(end)
                raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def commit(self) -> None:
        """Close the file and give it its own name; a link there is replaced, not followed."""
        with uninterrupted():
            self._close()
            self.partial.replace(self.path)
            self._lock.release()

    def discard(self) -> None:
        """Remove the file; no-op after `commit`."""
        with uninterrupted():
            if not self._file.closed:
                self._close()
                self.partial.unlink(missing_ok=True)
                self._lock.release()

    def abandon(self) -> None:
        """Close the file and leave it as it is, under its partial name."""
        with uninterrupted():
            self._close()
            self._lock.release()

    def _close(self) -> None:
        self._file.close()
        if self._reserve is not None:
            self._reserve.free()


class _Reserve:
    """Nameless file that occupies space on a disk; the system removes it with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `free`
        for size in _RESERVES:  # a nearly full disk has room for a short video
            try:
                self.extend(size)
                return
            except OSError as error:
                self._file.truncate(0)
                if error.errno not in FULL or size == _RESERVES[-1]:
                    self.free()
                    raise

    def extend(self, size: int) -> None:
        """Occupy more space.

        Raises:
            OSError: If the disk is full.
        """
        zeros = memoryview(bytes(size))
        while zeros:
            zeros = zeros[self._file.write(zeros) or 0 :]

    def free(self) -> None:
        """Give the space back; no-op the second time."""
        self._file.close()
