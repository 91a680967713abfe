"""Output files and folders, and names that never overwrite an input file or each other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.io.file_names import check_plot_suffix
from fer_lmdb.io.images import printable_path


@dataclass(frozen=True)
class OutputPaths:
    """Files and folders for results; None writes nothing.

    Attributes:
        save: File or folder for annotated copies.
        crops: Folder for face crops.
        table: CSV file.
        plot: File or folder for plots of videos.
        one_file: Whether there is a single input, so that `save` and `plot` may be files.

    Raises:
        OptionError: If no plot can have the ending of `plot`.
    """

    save: Path | None = None
    crops: Path | None = None
    table: Path | None = None
    plot: Path | None = None
    one_file: bool = False

    def __post_init__(self) -> None:
        if self.plot is not None:
            check_plot_suffix(self.plot, or_folder=True)

    @property
    def all(self) -> list[Path]:
        """All paths that are set."""
        return [path for path in (self.save, self.crops, self.table, self.plot) if path]

    @property
    def folders(self) -> list[Path]:
        """Paths that may be folders with images."""
        return [path for path in (self.save, self.crops) if path]


NO_OUTPUTS = OutputPaths()


class OverwriteGuard:
    """Reject output paths that are input files; other existing files may be replaced.

    Args:
        files: All input files.
        places: Output files and folders.
    """

    def __init__(self, files: Iterable[InputFile] = (), places: Collection[Path] = ()) -> None:
        real_places = [Path(os.path.realpath(place)) for place in places]
        real_files = (_real_path(file.path) for file in files)
        self._files = {path for path in real_files if path and any(map(path.is_relative_to, real_places))}

    def check(self, path: Path, file: InputFile | None = None) -> Path:
        """Return an output path if it is not an input file.

        Args:
            path: Output path.
            file: Input file that the output belongs to.

        Raises:
            ImageError: If the path is an input file.
        """
        if _real_path(path) in self._files or (file and _is_same_file(path, file.path)):
            raise ImageError(f"{printable_path(path)}: would overwrite an input file; choose another file or folder")
        return path


NO_GUARD = OverwriteGuard()


class OutputNames:
    """Unique names of output files in a folder that mirrors the layout of the inputs.

    Args:
        folder: Output folder.
        guard: Guard of the input files.
    """

    def __init__(self, folder: Path, guard: OverwriteGuard = NO_GUARD) -> None:
        self.folder, self._guard = folder, guard
        self._used: set[Path] = set()

    def choose(self, file: InputFile, ending: str = "", suffix: str | None = None) -> Path:
        """Return an unused path for an output of an input file.

        Args:
            file: Input file.
            ending: Text appended to the stem.
            suffix: Suffix of the output; None keeps that of the input.

        Raises:
            ImageError: If the path is an input file.
        """
        preferred = self.folder / file.relative_path
        stem = preferred.stem + ending
        suffix = preferred.suffix if suffix is None else suffix
        path = preferred.with_name(stem + suffix)
        number = 2
        while path in self._used:
            path = preferred.with_name(f"{stem}-{number}{suffix}")
            number += 1
        self._used.add(path)
        return self._guard.check(path, file)


def any_exist(places: Iterable[Path]) -> bool:
    """Return whether an output may collide with a file: a place is a file or a folder that is not empty."""
    return any(place.is_file() or (place.is_dir() and _has_entries(place)) for place in places)


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # the folder may be writable but not readable
        return True


def _real_path(path: Path) -> Path | None:
    """Return the path without symbolic links, None if it is invalid (contains a NUL byte)."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        return None


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
