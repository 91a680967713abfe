"""Files that predictions become: annotated copies, face crops, a csv, a plot."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.images import ImageResult
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.overwrite_guard import OverwriteGuard
from fer_lmdb.io.images import WRITABLE_SUFFIXES, printable_path, write_image
from fer_lmdb.results import FacePrediction, FramePrediction, ImagePrediction
from fer_lmdb.visualization.annotate import annotate

if TYPE_CHECKING:
    from fer_lmdb.io.video_writer import VideoWriter

CROP_MARGIN = 0.2
NO_GUARD = OverwriteGuard()


class OutputNames:
    """Names of result files inside a folder, laid out as the user's own files are; no two are the same.

    Args:
        folder: where the results go.
        guard: what must not be written over.
    """

    def __init__(self, folder: Path, guard: OverwriteGuard = NO_GUARD) -> None:
        self.folder, self._originals = folder, guard
        self._used: set[Path] = set()

    def choose(self, found: InputFile, ending: str = "", suffix: str | None = None) -> Path:
        """Return a free name for a result of that file.

        Args:
            found: the file that was looked at.
            ending: what is added to the stem.
            suffix: another suffix than the file's own.
        Raises:
            ImageError: a file to look at has it.
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
        return self._originals.check(path, found)


class AnnotatedWriter:
    """Writes every picture and video with its faces drawn on it.

    Args:
        target: a file (for one picture or video), or a folder.
        one_file: whether `target` is that file.
        guard: what must not be written over.
    """

    def __init__(self, target: Path, one_file: bool, guard: OverwriteGuard = NO_GUARD) -> None:
        self.target, self.one_file, self._originals = target, one_file, guard
        self._names = OutputNames(target, guard)

    def add(self, seen: ImageResult) -> None:
        """Write one picture; nothing where it could not be read."""
        if seen.image is not None:
            path = self._choose(seen.found, WRITABLE_SUFFIXES, ".png")
            write_image(path, annotate(seen.image, seen.prediction.faces))

    def video(self, found: InputFile) -> VideoWriter:
        """Return a writer for a video's annotated frames; the sound goes along."""
        from fer_lmdb.io.video_writer import WRITABLE_VIDEO_SUFFIXES, VideoWriter

        return VideoWriter(self._choose(found, WRITABLE_VIDEO_SUFFIXES, ".mp4"), audio_from=found.path)

    def _choose(self, found: InputFile, writable: Collection[str], otherwise: str) -> Path:
        suffix = found.path.suffix if found.path.suffix.lower() in writable else otherwise
        if self.one_file:
            return self._originals.check(self.target, found)
        return self._names.choose(found, suffix=suffix)


class CropWriter:
    """Writes every face as a picture of its own: its box with a fifth of its size around, in colour.

    Args:
        folder: where to; `photo-1.png` is the first face of `photo.jpg`, `clip-000020-1.png` the first person in
            frame 20 of `clip.mp4`.
        guard: what must not be written over.
    """

    def __init__(self, folder: Path, guard: OverwriteGuard = NO_GUARD) -> None:
        self._names = OutputNames(folder, guard)

    def add(self, found: InputFile, image: NDArray[np.uint8], faces: Sequence[FacePrediction], mark: str = "") -> None:
        """Write the faces of one picture or frame."""
        for number, face in enumerate(faces, 1):
            name = self._names.choose(found, f"{mark}-{face.id or number}", ".png")
            write_image(name, crop(image, face))


class CsvWriter:
    """Writes a csv: one row per face, one row without a face for a picture that has none.

    Args:
        path: the file.
        classes: the model's classes; a column each.

    Raises:
        ImageError: the file cannot be written.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        place = ["x", "y", "width", "height", "score"]
        self.columns = ["path", "frame", "time_s", "face", *place, "expression", *classes, "error"]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise ImageError(f"{printable_path(path)}: cannot be written: {error.strerror}") from error
        self._rows = csv.DictWriter(self._file, self.columns, restval="", extrasaction="raise")
        self._rows.writeheader()

    def add(self, prediction: ImagePrediction | FramePrediction) -> None:
        """Write the rows of one picture or frame."""
        where: dict[str, Any] = {"path": prediction.path}
        if isinstance(prediction, FramePrediction):
            where |= {"frame": prediction.frame, "time_s": round(prediction.time_s, 4)}
        if not prediction.faces:
            self._rows.writerow({**where, "error": prediction.error or ""})
        for number, face in enumerate(prediction.faces, 1):
            document = face.to_dict()
            place = dict(zip(("x", "y", "width", "height"), document["box"], strict=True))
            facts = {"score": document["score"], "expression": face.expression, **document["probabilities"]}
            self._rows.writerow({**where, "face": face.id or number, **place, **facts})

    def close(self) -> None:
        """Finish the file."""
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
