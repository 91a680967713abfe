"""Inference on files and folders with result files: the pipeline of `fer-lmdb predict`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from fer_lmdb.inference.images import predict_sources
from fer_lmdb.inference.inputs import InputFile, find_files
from fer_lmdb.inference.left_out import LeftOut
from fer_lmdb.inference.output_paths import NO_OUTPUTS, OutputPaths, any_exist
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.inference.writers import AnnotatedWriter, ResultWriters
from fer_lmdb.io.outputs import OutputGuard
from fer_lmdb.models.registry import resolve_model
from fer_lmdb.results import FramePrediction, ImagePrediction
from fer_lmdb.runtime.executors import Executor

if TYPE_CHECKING:
    from fer_lmdb.inference.timeline import Timeline

STDIN = 0
"""Descriptor of stdin, which may be a file: a list of paths."""


@dataclass(frozen=True, eq=False)
class VideoSummary:
    """Summary of one video, after its last frame.

    Attributes:
        path: Path of the video.
        timeline: Expressions over time.
        error: One-line reason why the video ended early; None if it is complete.
        audio_note: Reason why the annotated copy has no audio; None if nothing is missing.
    """

    path: str
    timeline: Timeline
    error: str | None
    audio_note: str | None


def predict_files(
    paths: Iterable[str],
    recognizer: Recognizer,
    outputs: OutputPaths = NO_OUTPUTS,
    *,
    executor: Executor | None = None,
    detect_every: int = 3,
    fps: float | None = None,
    left_out: LeftOut | None = None,
) -> Generator[ImagePrediction | FramePrediction | VideoSummary]:
    """Predict images and videos and write the result files.

    Args:
        paths: Files, folders and patterns; consumed one by one unless an output exists already.
        recognizer: Recognizer.
        outputs: Files and folders for results.
        executor: Executor for images; None runs them in this process. Videos always run in this process.
        detect_every: Run the detector on every k-th frame of a video; faces are tracked in between.
        fps: Frames per second of a video to look at; None looks at all.
        left_out: Counts the paths that are not predicted.

    Returns:
        Iterator in the order of the files: one ImagePrediction per image; for each video its FramePredictions, then
        its VideoSummary.

    Raises:
        OutputError: If a result would replace an input, or a file that this program did not write.
        ImageError: If a result file cannot be written.
    """
    inputs = list(map(resolve_model, recognizer.models))
    if any_exist(outputs.all):  # an output may be an input file, so all inputs must be known
        paths = list(paths)
        known = list(find_files(paths, outputs.folders))
        inputs += [file.path for file in known]
        _check_outputs(known, inputs, outputs)
    guard = OutputGuard(inputs, force=outputs.force)
    guard.inputs.add_stream(STDIN)
    with ResultWriters(recognizer.classes, outputs, guard) as writers:
        files = find_files(paths, outputs.folders, left_out=left_out)
        for are_videos, group in groupby(files, key=lambda file: file.is_video and file.error is None):
            if are_videos:
                for file in group:
                    yield from _predict_video(file, recognizer, writers, detect_every, fps)
            else:
                for file, prediction in predict_sources(group, recognizer, executor):
                    writers.add(file, prediction)
                    yield prediction


def _check_outputs(files: list[InputFile], inputs: list[Path], outputs: OutputPaths) -> None:
    """Check the outputs whose names are known before the first prediction: all but crops and plots in folders."""
    guard = OutputGuard(inputs, force=outputs.force)
    guard.inputs.add_stream(STDIN)
    if outputs.table is not None:
        guard.check(outputs.table, ".csv")
    if outputs.plot is not None and outputs.one_file and outputs.plot.suffix and not outputs.plot.is_dir():
        guard.check(outputs.plot)
    if outputs.save is not None:
        copies = AnnotatedWriter(outputs.save, outputs.one_file, guard)
        for file in files:
            if file.error is None:
                copies.path_of(file)


def _predict_video(
    file: InputFile, recognizer: Recognizer, writers: ResultWriters, detect_every: int, fps: float | None
) -> Generator[FramePrediction | VideoSummary]:
    from fer_lmdb.inference.video import predict_video  # imports PyAV, which images do not need

    error = None
    with writers.video(file) as video:
        for frame in predict_video(file.path, recognizer, detect_every=detect_every, fps=fps):
            video.add(frame)
            error = frame.error
            yield frame
    yield VideoSummary(str(file.path), video.timeline, error, video.audio_note)
