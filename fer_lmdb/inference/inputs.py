"""Input files from paths, folders and patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.inference.left_out import FIRST_FRAME, HIDDEN, LINKED_FOLDER, OUTPUT, LeftOut
from fer_lmdb.io.file_kind import VIDEO_SUFFIXES, FileKind, file_kind, is_animation
from fer_lmdb.io.heif import HEIF_SUFFIXES, has_heif
from fer_lmdb.io.hidden import is_hidden
from fer_lmdb.io.images import IMAGE_SUFFIXES, printable_path

_URL = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class InputFile:
    """One input file, or the reason why there is none.

    Attributes:
        path: Path of the file.
        relative_path: Path relative to the folder that was searched; the file name if the file was given itself.
        error: One-line error message; None if the file can be tried.
        kind: By its content if the file was given itself, by its suffix in a folder, where an animation is an image.
    """

    path: Path
    relative_path: Path
    error: str | None = None
    kind: FileKind = "image"

    @property
    def is_video(self) -> bool:
        """Whether the file has frames to be tracked."""
        return self.kind != "image"


def find_files(
    names: Iterable[str],
    exclude: Collection[Path] = (),
    suffixes: Collection[str] = IMAGE_SUFFIXES | VIDEO_SUFFIXES,
    left_out: LeftOut | None = None,
) -> Iterator[InputFile]:
    """Yield the files of paths, folders and patterns in order; folders are searched recursively, sorted by name,
    without hidden files and folders.

    Args:
        names: Files, folders, or patterns such as `holiday/**/*.jpg`.
        exclude: Folders to skip, such as the output folder.
        suffixes: Lower-case suffixes of the files to find in folders; HEIC only with the extra `heif`.
        left_out: Counts the paths in folders that are not returned.
    """
    left_out = left_out or LeftOut()
    suffixes = suffixes if has_heif() else frozenset(suffixes) - HEIF_SUFFIXES
    excluded = {folder.resolve() for folder in exclude}
    for name in names:
        path = Path(name)
        if _URL.match(name):
            yield _failed(name, "is a URL, and URLs are not downloaded; download it first, e.g. with curl -O")
        elif _is_folder(path):
            yield from _search(path, excluded, suffixes, left_out)
        elif glob.has_magic(name) and not os.path.lexists(name):
            yield from _match(name, excluded, left_out)
        else:
            yield InputFile(path, Path(path.name), kind=file_kind(path))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (ValueError, OSError):  # a NUL byte or an over-long name, reported when the file is read
        return False


def _failed(name: str | Path, reason: str) -> InputFile:
    return InputFile(Path(name), Path(name), f"{printable_path(name)}: {reason}")


def _search(folder: Path, excluded: set[Path], suffixes: Collection[str], left_out: LeftOut) -> Iterator[InputFile]:
    empty = True
    for found in _walk(folder, folder, excluded, suffixes, left_out):
        empty = False
        yield found
    if empty:
        videos = "" if VIDEO_SUFFIXES.isdisjoint(suffixes) else " or videos"
        yield _failed(folder, f"contains no images (.jpg, .png, .webp, ...){videos}")


def _walk(
    folder: Path, top: Path, excluded: set[Path], suffixes: Collection[str], left_out: LeftOut
) -> Iterator[InputFile]:
    """Walk depth first with the names of one folder per level in memory; links to folders are not followed."""
    if folder.resolve() in excluded:
        left_out.add(OUTPUT)
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _failed(folder, f"cannot be searched: {error.strerror}")
        return
    for entry in entries:
        path = Path(entry.path)
        if is_hidden(entry.name):
            left_out.add(HIDDEN)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path, top, excluded, suffixes, left_out)
        elif path.suffix.lower() in suffixes:
            yield _found(path, path.relative_to(top), left_out)
        elif entry.is_dir():
            left_out.add(LINKED_FOLDER)
        else:
            left_out.add_other(path)


def _found(path: Path, relative_path: Path, left_out: LeftOut) -> InputFile:
    """Return a file of a folder: its suffix decides, and of an animation the first frame is read."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return InputFile(path, relative_path, kind="video")
    if is_animation(path):
        left_out.add(FIRST_FRAME)
    return InputFile(path, relative_path)


def _match(pattern: str, excluded: set[Path], left_out: LeftOut) -> Iterator[InputFile]:
    empty = True
    for path in map(Path, sorted(glob.glob(pattern, recursive=True))):  # noqa: PTH207 - absolute patterns are allowed
        if not path.is_file():
            continue
        if excluded.intersection(path.resolve().parents):
            left_out.add(OUTPUT)
            continue
        empty = False
        yield _found(path, Path(path.name), left_out)
    if empty:
        yield _failed(pattern, "no file matches this pattern")
