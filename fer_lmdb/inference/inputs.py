"""Input files from paths, folders and patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.io.hidden import is_hidden
from fer_lmdb.io.images import IMAGE_SUFFIXES, printable_path

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv", ".mjpeg"}
)
"""Lower-case suffixes of files that are treated as videos."""

_URL = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class InputFile:
    """One input file, or the reason why there is none.

    Attributes:
        path: Path of the file.
        relative_path: Path relative to the folder that was searched; the file name if the file was given itself.
        error: One-line error message; None if the file can be tried.
    """

    path: Path
    relative_path: Path
    error: str | None = None

    @property
    def is_video(self) -> bool:
        """Whether the file has the suffix of a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_files(
    names: Iterable[str], exclude: Collection[Path] = (), suffixes: Collection[str] = IMAGE_SUFFIXES | VIDEO_SUFFIXES
) -> Iterator[InputFile]:
    """Yield the files of paths, folders and patterns in order; folders are searched recursively, sorted by name,
    without hidden files and folders.

    Args:
        names: Files, folders, or patterns such as `holiday/**/*.jpg`.
        exclude: Folders to skip, such as the output folder.
        suffixes: Lower-case suffixes of the files to find in folders.
    """
    excluded = {folder.resolve() for folder in exclude}
    for name in names:
        path = Path(name)
        if _URL.match(name):
            yield _failed(name, "is a URL, and URLs are not downloaded; download it first, e.g. with curl -O")
        elif _is_folder(path):
            yield from _search(path, excluded, suffixes)
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _match(name, excluded)
        else:
            yield InputFile(path, Path(path.name))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except ValueError:  # a NUL byte, which is reported when the file is read
        return False


def _failed(name: str | Path, reason: str) -> InputFile:
    return InputFile(Path(name), Path(name), f"{printable_path(name)}: {reason}")


def _search(folder: Path, excluded: set[Path], suffixes: Collection[str]) -> Iterator[InputFile]:
    empty = True
    for found in _walk(folder, folder, excluded, suffixes):
        empty = False
        yield found
    if empty:
        videos = "" if VIDEO_SUFFIXES.isdisjoint(suffixes) else " or videos"
        yield _failed(folder, f"contains no images (.jpg, .png, .webp, ...){videos}")


def _walk(folder: Path, top: Path, excluded: set[Path], suffixes: Collection[str]) -> Iterator[InputFile]:
    """Walk depth first with the names of one folder per level in memory; links to folders are not followed."""
    if folder.resolve() in excluded:
        return
    try:
        entries = sorted(
            (entry for entry in os.scandir(folder) if not is_hidden(entry.name)), key=lambda each: each.name
        )
    except OSError as error:
        yield _failed(folder, f"cannot be searched: {error.strerror}")
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, top, excluded, suffixes)
        elif path.suffix.lower() in suffixes:
            yield InputFile(path, path.relative_to(top))


def _match(pattern: str, excluded: set[Path]) -> Iterator[InputFile]:
    empty = True
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207 - absolute patterns are allowed
        if path.is_file() and not excluded.intersection(path.resolve().parents):
            empty = False
            yield InputFile(path, Path(path.name))
    if empty:
        yield _failed(pattern, "no file matches this pattern")
