"""Files that predictions become: annotated copies, face crops, a csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.annotate import annotate
from fer_lmdb.errors import PictureError
from fer_lmdb.pictures import WRITABLE_SUFFIXES, printable, write_picture
from fer_lmdb.predict.paths import Found
from fer_lmdb.predict.pictures import Seen
from fer_lmdb.predictions import FacePrediction

CROP_MARGIN = 0.2


class Names:
    """Names of result files inside a folder, laid out as the user's own files are; no two are the same.

    Args:
        folder: where the results go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[Path] = set()

    def choose(self, found: Found, ending: str = "", suffix: str | None = None) -> Path:
        """Return a free name for a result of that file.

        Args:
            found: the file that was looked at.
            ending: what is added to the stem.
            suffix: another suffix than the file's own.
        """
        wanted = self.folder / found.inside
        stem = wanted.stem + ending
        suffix = wanted.suffix if suffix is None else suffix
        path = wanted.with_name(stem + suffix)
        number = 2
        while path in self._used:
            path = wanted.with_name(f"{stem}-{number}{suffix}")
            number += 1
        self._used.add(path)
        return path


class AnnotatedCopies:
    """Writes every picture with its faces drawn on it.

    Args:
        target: a picture file (for one picture), or a folder.
        one_file: whether `target` is that file.
    """

    def __init__(self, target: Path, one_file: bool) -> None:
        self.target, self.one_file = target, one_file
        self._names = Names(target)

    def add(self, seen: Seen) -> None:
        """Write one picture; nothing where it could not be read."""
        if seen.image is None:
            return
        path = self.target if self.one_file else self._names.choose(seen.found, suffix=writable_suffix(seen.found.path))
        if path.exists() and path.samefile(seen.found.path):
            raise PictureError(f"{printable(path)}: this would overwrite the original; save to another name or folder")
        write_picture(path, annotate(seen.image, seen.prediction.faces))


class Crops:
    """Writes every face as a picture of its own: its box with a fifth of its size around, in colour.

    Args:
        folder: where to; `photo-1.png` is the first face of `photo.jpg`.
    """

    def __init__(self, folder: Path) -> None:
        self._names = Names(folder)

    def add(self, seen: Seen) -> None:
        """Write the faces of one picture."""
        for number, face in enumerate(seen.prediction.faces, 1):
            if seen.image is not None:
                write_picture(self._names.choose(seen.found, f"-{number}", ".png"), crop(seen.image, face))


class Table:
    """Writes a csv: one row per face, one row without a face for a picture that has none.

    Args:
        path: the file.
        classes: the model's classes; a column each.
        columns: further columns, such as those of a video's frames; they stand after the path.

    Raises:
        PictureError: the file cannot be written.
    """

    def __init__(self, path: Path, classes: Sequence[str], columns: Sequence[str] = ()) -> None:
        place = ["x", "y", "width", "height", "score"]
        self.columns = ["path", *columns, "face", *place, "expression", *classes, "error"]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise PictureError(f"{printable(path)}: cannot be written: {error.strerror}") from error
        self._rows = csv.DictWriter(self._file, self.columns, restval="", extrasaction="raise")
        self._rows.writeheader()

    def add(self, path: str, faces: Sequence[FacePrediction], error: str | None = None, **further: Any) -> None:
        """Write the rows of one picture or frame."""
        if not faces:
            self._rows.writerow({"path": path, "error": error or "", **further})
        for number, face in enumerate(faces, 1):
            document = face.to_dict()
            place = dict(zip(("x", "y", "width", "height"), document["box"], strict=True))
            facts = {"score": document["score"], "expression": face.expression, **document["probabilities"]}
            self._rows.writerow({"path": path, "face": face.id or number, **place, **facts, **further})

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def crop(image: NDArray[np.uint8], face: FacePrediction) -> NDArray[np.uint8]:
    """Return the part of a picture that shows a face, at least one pixel of it."""
    x, y, width, height = face.box
    around = CROP_MARGIN * max(width, height)
    rows, columns = image.shape[:2]
    top, left = (int(np.clip(value, 0, size - 1)) for value, size in ((y - around, rows), (x - around, columns)))
    bottom = int(np.clip(y + height + around, top + 1, rows))
    right = int(np.clip(x + width + around, left + 1, columns))
    return image[top:bottom, left:right]


def writable_suffix(path: Path) -> str:
    """Return the file's own ending where pictures can be written with it, else .png."""
    return path.suffix if path.suffix.lower() in WRITABLE_SUFFIXES else ".png"
