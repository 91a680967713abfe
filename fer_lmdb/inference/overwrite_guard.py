"""What a user gave to look at is never written over, whatever results are called and in whatever order they come."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.io.images import printable_path


class OverwriteGuard:
    """The files to look at that lie where results go; what else lies there may be replaced.

    Args:
        files: all files to look at.
        places: the files and folders that results go to.
    """

    def __init__(self, files: Iterable[InputFile] = (), places: Collection[Path] = ()) -> None:
        inside = [Path(os.path.realpath(place)) for place in places]
        real = (_real(found.path) for found in files)
        self._files = {path for path in real if path and any(path.is_relative_to(place) for place in inside)}

    def check(self, path: Path, found: InputFile | None = None) -> Path:
        """Return a result's path.

        Args:
            path: where it would go.
            found: whose result it is.
        Raises:
            ImageError: a file to look at lies there.
        """
        if _real(path) in self._files or (found and _is_same(path, found.path)):
            raise ImageError(
                f"{printable_path(path)}: this would overwrite the original; save to another name or folder"
            )
        return path


def any_exist(places: Iterable[Path]) -> bool:
    """Tell whether a result may meet a file: one of the places is a file, or a folder that is not empty."""
    return any(place.is_file() or (place.is_dir() and _has_entries(place)) for place in places)


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # a folder that may be written to, but not listed
        return True


def _real(path: Path) -> Path | None:
    """Return where a path leads, None where it leads nowhere: a NUL byte."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        return None


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
