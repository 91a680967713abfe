"""From what a user names (files, folders, patterns) to the pictures and videos meant, one at a time."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.io.images import IMAGE_SUFFIXES, printable_path

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv", ".mjpeg"}
)
"""Endings by which videos are told from pictures."""

_URL = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class InputFile:
    """One file to look at, or why there is none.

    Attributes:
        path: the file.
        inside: its path below the folder that the user named; the bare file name where a file was named.
        error: one line, None where the file can be tried.
    """

    path: Path
    inside: Path
    error: str | None = None

    @property
    def is_video(self) -> bool:
        """Whether the ending is that of a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_files(names: Iterable[str], leave_out: Collection[Path] = ()) -> Iterator[InputFile]:
    """Yield the pictures and videos meant, in order; folders are searched through, sorted by name.

    Args:
        names: files, folders, patterns such as `holiday/**/*.jpg`.
        leave_out: folders not to search, such as the one that results are written to.
    """
    skipped = {folder.resolve() for folder in leave_out}
    for name in names:
        path = Path(name)
        if _URL.match(name):
            yield _nothing(name, "is a web address, and nothing is downloaded here; fetch it first, e.g. with curl -O")
        elif _is_folder(path):
            yield from _search(path, skipped)
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _match(name, skipped)
        else:
            yield InputFile(path, Path(path.name))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except ValueError:  # a NUL byte; reading the file will say so
        return False


def _nothing(name: str | Path, reason: str) -> InputFile:
    return InputFile(Path(name), Path(name), f"{printable_path(name)}: {reason}")


def _search(folder: Path, skipped: set[Path]) -> Iterator[InputFile]:
    empty = True
    for found in _walk(folder, folder, skipped):
        empty = False
        yield found
    if empty:
        yield _nothing(folder, "this folder holds no picture (.jpg, .png, .webp, ...) and no video")


def _walk(folder: Path, top: Path, skipped: set[Path]) -> Iterator[InputFile]:
    """Go through a folder depth first, holding one folder's names at a time; links to folders are not followed."""
    if folder.resolve() in skipped:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _nothing(folder, f"this folder cannot be searched: {error.strerror}")
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, top, skipped)
        elif path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            yield InputFile(path, path.relative_to(top))


def _match(pattern: str, skipped: set[Path]) -> Iterator[InputFile]:
    empty = True
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207 - Path.glob takes no absolute ones
        if path.is_file() and not skipped.intersection(path.resolve().parents):
            empty = False
            yield InputFile(path, Path(path.name))
    if empty:
        yield _nothing(pattern, "no file matches this pattern")
