"""Result files: annotated copies, face crops, a CSV file and plots over time."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.output_paths import NO_OUTPUTS, OutputNames, OutputPaths
from fer_lmdb.io.images import WRITABLE_SUFFIXES, printable_path, write_image
from fer_lmdb.io.outputs import OutputGuard
from fer_lmdb.io.streaming import StreamingFile
from fer_lmdb.results import FacePrediction, FramePrediction, ImagePrediction, table_columns, to_rows
from fer_lmdb.runtime.background import BackgroundWorker
from fer_lmdb.runtime.signals import uninterrupted
from fer_lmdb.visualization.annotate import annotate

if TYPE_CHECKING:
    from fer_lmdb.inference.timeline import Timeline
    from fer_lmdb.io.video_writer import VideoWriter

CROP_MARGIN = 0.2


class ResultWriters:
    """Write all results to the requested files.

    Args:
        classes: Class names in label order.
        outputs: Files and folders for results.
        guard: Guard of all outputs; None for one that knows no inputs.

    Raises:
        OutputError: If the CSV file would replace something that is not to be replaced.
        ImageError: If the CSV file cannot be written.
    """

    def __init__(
        self, classes: tuple[str, ...], outputs: OutputPaths = NO_OUTPUTS, guard: OutputGuard | None = None
    ) -> None:
        guard = guard or OutputGuard(force=outputs.force)
        self.classes = classes
        self._table = CsvWriter(guard.check(outputs.table, ".csv"), classes) if outputs.table else None
        self._copies = AnnotatedWriter(outputs.save, outputs.one_file, guard) if outputs.save else None
        self._crops = CropWriter(outputs.crops, guard) if outputs.crops else None
        self._plots = _OutputChooser(outputs.plot, outputs.one_file, guard) if outputs.plot else None

    def add(self, file: InputFile, prediction: ImagePrediction) -> None:
        """Write the results of one image."""
        with uninterrupted():
            if self._copies:
                self._copies.add(file, prediction)
            if self._crops:
                self._crops.add(file, prediction)
            if self._table:
                self._table.add(prediction)

    @contextmanager
    def video(self, file: InputFile) -> Iterator[VideoWriters]:
        """Return the writers of one video; its files are complete at the end of the context."""
        from fer_lmdb.inference.timeline import Timeline

        timeline = Timeline(self.classes)
        with ExitStack() as stack:
            copy = stack.enter_context(self._copies.video(file)) if self._copies else None
            worker = stack.enter_context(BackgroundWorker())
            yield VideoWriters(file, timeline, worker, copy, self._crops, self._table)
        if self._plots:
            timeline.draw(self._plots.choose(file, ".png"), file.path.name)

    def __enter__(self) -> ResultWriters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._table:
            self._table.close()


@dataclass(frozen=True)
class VideoWriters:
    """Write the results of one video; frames are drawn and encoded in another thread."""

    file: InputFile
    timeline: Timeline
    _worker: BackgroundWorker
    _copy: VideoWriter | None
    _crops: CropWriter | None
    _table: CsvWriter | None

    @property
    def audio_note(self) -> str | None:
        """Reason why the annotated video has no audio, None if nothing is missing."""
        return self._copy.audio_note if self._copy else None

    def add(self, prediction: FramePrediction) -> None:
        """Write the results of the next frame."""
        with uninterrupted():
            if self._table:
                self._table.add(prediction)
            if prediction.image is None:
                return
            self.timeline.add(prediction)
            if self._crops:
                self._worker.submit(self._crops.add, self.file, prediction)
            if self._copy:
                self._worker.submit(_add_annotated, self._copy, prediction)


class AnnotatedWriter:
    """Write annotated copies of images and videos.

    Args:
        target: File (for a single input) or folder.
        one_file: Whether there is a single input, so that `target` may be a file.
        guard: Guard of all outputs; None for one that knows no inputs.
    """

    def __init__(self, target: Path, one_file: bool, guard: OutputGuard | None = None) -> None:
        self._names = _OutputChooser(target, one_file, guard or OutputGuard())

    def path_of(self, file: InputFile) -> Path:
        """Return the path of the copy of a file; call it once per file.

        Raises:
            OutputError: If it would replace something that is not to be replaced.
        """
        if file.is_video:
            from fer_lmdb.io.video_writer import WRITABLE_VIDEO_SUFFIXES

            return self._names.choose(file, _writable_suffix(file, WRITABLE_VIDEO_SUFFIXES, ".mp4"))
        return self._names.choose(file, _writable_suffix(file, WRITABLE_SUFFIXES, ".png"))

    def add(self, file: InputFile, prediction: ImagePrediction) -> None:
        """Write the copy of one image, if it could be read."""
        if prediction.image is not None:
            write_image(self.path_of(file), annotate(prediction.image, prediction.faces))

    def video(self, file: InputFile) -> VideoWriter:
        """Return a writer for the annotated frames of a video; the audio is copied."""
        from fer_lmdb.io.video_writer import VideoWriter

        return VideoWriter(self.path_of(file), audio_from=file.path if file.kind == "video" else None)


class CropWriter:
    """Write each face as a color image: its box with a margin of 20 % of its size.

    Args:
        folder: Output folder. `photo-1.png` is the first face of `photo.jpg`, `clip-000020-1.png` the person with track
            ID 1 in frame 20 of `clip.mp4`.
        guard: Guard of all outputs; None for one that knows no inputs.
    """

    def __init__(self, folder: Path, guard: OutputGuard | None = None) -> None:
        self._names = OutputNames(folder, guard)

    def add(self, file: InputFile, prediction: ImagePrediction | FramePrediction) -> None:
        """Write the faces of one image or frame."""
        if prediction.image is None:
            return
        mark = f"-{prediction.frame:06d}" if isinstance(prediction, FramePrediction) else ""
        for number, face in enumerate(prediction.faces, 1):
            path = self._names.choose(file, f"{mark}-{face.id or number}", ".png")
            write_image(path, crop(prediction.image, face))


class CsvWriter:
    """Write a CSV file with one row per face, or one row without a face for an image that has none.

    It grows as `NAME.partial` and has its own name when it is closed.

    Args:
        path: CSV file.
        classes: Class names in label order, one column each.

    Attributes:
        rows: Number of images or frames written.

    Raises:
        ImageError: If the file cannot be written.
        OutputError: If another process is writing the file.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._name, self.rows, self._closed = printable_path(path), 0, False
        self.columns = table_columns(classes)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = StreamingFile(path)
        except OSError as error:
            raise ImageError(f"{self._name}: cannot be written: {error.strerror}") from error
        self._append([dict(zip(self.columns, self.columns, strict=True))])

    def add(self, prediction: ImagePrediction | FramePrediction) -> None:
        """Write the rows of one image or frame, all of them or none.

        Raises:
            ImageError: If they cannot be written.
        """
        self._append(to_rows(prediction))
        self.rows += 1

    def _append(self, rows: Iterable[dict[str, Any]]) -> None:
        text = StringIO(newline="")
        csv.DictWriter(text, self.columns, restval="", extrasaction="raise").writerows(rows)
        try:
            self._file.append(text.getvalue().encode("utf-8", "backslashreplace"))
        except OSError as error:
            self.close()
            raise ImageError(
                f"{self._name}: cannot be written: {error.strerror}; it ends after {self.rows} images or frames"
            ) from error

    def close(self) -> None:
        """Close the file and give it its own name; no-op the second time."""
        if not self._closed:
            self._closed = True
            self._file.commit()


class _OutputChooser:
    """Output path of each input: the target itself if it is a file, or a file in the target folder."""

    def __init__(self, target: Path, one_file: bool, guard: OutputGuard) -> None:
        self._target, self._guard = target, guard
        self._is_file = one_file and target.suffix != "" and not target.is_dir()
        self._names = OutputNames(target, guard)

    def choose(self, file: InputFile, suffix: str) -> Path:
        if self._is_file:
            return self._guard.check(self._target, source=file.path)
        return self._names.choose(file, suffix=suffix)


def crop(image: NDArray[np.uint8], face: FacePrediction) -> NDArray[np.uint8]:
    """Return the region of a face with margin, clipped to the image and at least one pixel."""
    x, y, width, height = face.box
    margin = CROP_MARGIN * max(width, height)
    rows, columns = image.shape[:2]
    top, left = (int(np.clip(value, 0, size - 1)) for value, size in ((y - margin, rows), (x - margin, columns)))
    bottom = int(np.clip(y + height + margin, top + 1, rows))
    right = int(np.clip(x + width + margin, left + 1, columns))
    return image[top:bottom, left:right]


def _writable_suffix(file: InputFile, writable: Collection[str], default: str) -> str:
    return file.path.suffix if file.path.suffix.lower() in writable else default


def _add_annotated(writer: VideoWriter, prediction: FramePrediction) -> None:
    if prediction.image is not None:
        writer.add(annotate(prediction.image, prediction.faces, same_size=True), prediction.time_s)
