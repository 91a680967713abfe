"""Output files and folders, and names that never overwrite an input file or each other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.io.file_names import MAX_NAME_BYTES, check_plot_suffix, shorten
from fer_lmdb.io.outputs import OutputGuard


@dataclass(frozen=True)
class OutputPaths:
    """Files and folders for results; None writes nothing.

    Attributes:
        save: File or folder for annotated copies.
        crops: Folder for face crops.
        table: CSV file.
        plot: File or folder for plots of videos.
        one_file: Whether there is a single input, so that `save` and `plot` may be files.
        force: Whether to replace files that this program did not write, unless they are inputs, models or files of a
            data set or run.

    Raises:
        OptionError: If no plot can have the ending of `plot`.
    """

    save: Path | None = None
    crops: Path | None = None
    table: Path | None = None
    plot: Path | None = None
    one_file: bool = False
    force: bool = False

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
ROOM_FOR_NUMBER = 8
"""Bytes for the number that makes a name unique."""


class OutputNames:
    """Unique names of output files in a folder that mirrors the layout of the inputs.

    Args:
        folder: Output folder.
        guard: Guard of all outputs; None for one that knows no inputs.
    """

    def __init__(self, folder: Path, guard: OutputGuard | None = None) -> None:
        self.folder, self._guard = folder, guard or OutputGuard()

    def choose(self, file: InputFile, ending: str = "", suffix: str | None = None) -> Path:
        """Return an unused path for an output of an input file.

        Args:
            file: Input file.
            ending: Text appended to the stem.
            suffix: Suffix of the output; None keeps that of the input.

        Raises:
            OutputError: If it would replace something that is not to be replaced, see `fer_lmdb.io.outputs`.
        """
        preferred = self.folder / file.relative_path
        stem = preferred.stem + ending
        suffix = preferred.suffix if suffix is None else suffix
        stem = shorten(stem, MAX_NAME_BYTES - len(os.fsencode(suffix)) - ROOM_FOR_NUMBER)
        path = preferred.with_name(stem + suffix)
        number = 2
        while self._guard.is_taken(path):
            path = preferred.with_name(f"{stem}-{number}{suffix}")
            number += 1
        return self._guard.check(path, source=file.path)


def any_exist(places: Iterable[Path]) -> bool:
    """Return whether an output may collide with a file: a place is a file or a folder that is not empty."""
    return any(map(_exists, places))


def _exists(place: Path) -> bool:
    try:
        return place.is_file() or (place.is_dir() and _has_entries(place))
    except (OSError, ValueError):  # an over-long name or a NUL byte, reported when it is written
        return False


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # the folder may be writable but not readable
        return True
