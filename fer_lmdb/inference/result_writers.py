"""Hands every result on to the files that the user asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fer_lmdb.inference.images import ImageResult
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.overwrite_guard import OverwriteGuard
from fer_lmdb.inference.writers import NO_GUARD, AnnotatedWriter, CropWriter, CsvWriter, OutputNames
from fer_lmdb.runtime.background import BackgroundWorker
from fer_lmdb.visualization.annotate import annotate

if TYPE_CHECKING:
    from fer_lmdb.inference.timeline import Timeline
    from fer_lmdb.inference.video import FrameResult
    from fer_lmdb.io.video_writer import VideoWriter


class ResultWriters:
    """The files that results go to.

    Args:
        classes: the model's classes.
        one_file: whether the user named a single picture or video, so that `save` and `plot` may name a file.
        save: annotated copies: a file or folder.
        crops: a folder for faces.
        table: a csv file.
        plot: expressions over time of videos: a picture file or a folder.
        guard: what must not be written over.

    Raises:
        ImageError: the table cannot be written, or would take the place of a file to look at.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        one_file: bool = False,
        save: Path | None = None,
        crops: Path | None = None,
        table: Path | None = None,
        plot: Path | None = None,
        guard: OverwriteGuard = NO_GUARD,
    ) -> None:
        self.classes, self.plot, self.one_file, self._originals = classes, plot, one_file, guard
        self._copies = AnnotatedWriter(save, one_file and _names_file(save), guard) if save else None
        self._crops = CropWriter(crops, guard) if crops else None
        self._plots = OutputNames(plot, guard) if plot else None
        self._table = CsvWriter(guard.check(table), classes) if table else None

    def add(self, seen: ImageResult) -> None:
        """Take one picture."""
        if self._copies:
            self._copies.add(seen)
        if self._crops and seen.image is not None:
            self._crops.add(seen.found, seen.image, seen.prediction.faces)
        if self._table:
            self._table.add(seen.prediction)

    @contextmanager
    def video(self, found: InputFile) -> Iterator[VideoWriters]:
        """Give what takes the frames of one video; at the end its files are complete."""
        from fer_lmdb.inference.timeline import Timeline

        timeline = Timeline(self.classes)
        with ExitStack() as stack:
            writer = stack.enter_context(self._copies.video(found)) if self._copies else None
            behind = stack.enter_context(BackgroundWorker())
            yield VideoWriters(found, timeline, writer, behind, self._crops, self._table)
        if self.plot and self._plots:
            one = self.one_file and _names_file(self.plot)
            path = self._originals.check(self.plot, found) if one else self._plots.choose(found, suffix=".png")
            timeline.draw(path, found.path.name)

    def __enter__(self) -> ResultWriters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._table:
            self._table.close()


class VideoWriters:
    """Takes the frames of one video; drawing and encoding happen in another thread."""

    def __init__(
        self,
        found: InputFile,
        timeline: Timeline,
        writer: VideoWriter | None,
        behind: BackgroundWorker,
        crops: CropWriter | None,
        table: CsvWriter | None,
    ) -> None:
        self.found, self.timeline = found, timeline
        self._writer, self._behind, self._crops, self._table = writer, behind, crops, table

    @property
    def audio_note(self) -> str | None:
        """What the annotated video lacks, one line; None where it lacks nothing."""
        return self._writer.audio_note if self._writer else None

    def add(self, seen: FrameResult) -> None:
        """Take the next frame."""
        if self._table:
            self._table.add(seen.prediction)
        if seen.image is None:
            return
        self.timeline.add(seen.prediction)
        if self._crops:
            mark = f"-{seen.prediction.frame:06d}"
            self._behind.submit(self._crops.add, self.found, seen.image, seen.prediction.faces, mark)
        if self._writer:
            self._behind.submit(_draw, self._writer, seen)


def _draw(writer: VideoWriter, seen: Any) -> None:
    writer.add(annotate(seen.image, seen.prediction.faces, same_size=True), seen.prediction.time_s)


def _names_file(path: Path) -> bool:
    return path.suffix != "" and not path.is_dir()
