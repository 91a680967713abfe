"""Identity of files: two paths are one file if they lead to the same place, or to the same bytes on the disk.

Symbolic links, hard links, `..` and the letter case of a case-insensitive file system all lead to one file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterable
from pathlib import Path


def identities(path: str | os.PathLike[str]) -> list[Hashable]:
    """Return what identifies a file: its place, its resolved path and, if it exists, its device and inode.

    The place is the path with a resolved folder: that of a link itself, which an output replaces.

    Args:
        path: Path; it may be missing, invalid or a link.
    """
    found: list[Hashable] = []
    try:
        given = Path(path)
        found.append(os.fspath(Path(os.path.realpath(given.parent)) / given.name))
        found.append(os.path.realpath(path))
        status = Path(path).stat()
    except ValueError:  # a NUL byte
        return []
    except OSError:  # missing, or an over-long name
        return found
    return [*found, (status.st_dev, status.st_ino)]


def stream_identity(descriptor: int) -> list[Hashable]:
    """Return the device and inode of an open regular file such as stdin; empty for a pipe or terminal."""
    try:
        status = os.fstat(descriptor)
    except OSError:  # closed
        return []
    return [(status.st_dev, status.st_ino)] if stat.S_ISREG(status.st_mode) else []


class FileSet:
    """Set of files, compared by identity."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._known: set[Hashable] = set()
        for path in paths:
            self.add(path)

    def add(self, path: str | os.PathLike[str]) -> None:
        """Add a file."""
        self._known.update(identities(path))

    def add_stream(self, descriptor: int) -> None:
        """Add the file behind an open descriptor, if it is a regular file."""
        self._known.update(stream_identity(descriptor))

    def __contains__(self, path: str | os.PathLike[str]) -> bool:
        return not self._known.isdisjoint(identities(path))
