"""Inference on files and folders with result files: the pipeline of `fer-lmdb predict`."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from fer_lmdb.inference.images import predict_sources
from fer_lmdb.inference.inputs import InputFile, find_files
from fer_lmdb.inference.left_out import LeftOut
from fer_lmdb.inference.output_paths import NO_GUARD, NO_OUTPUTS, OutputPaths, OverwriteGuard, any_exist
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.inference.writers import ResultWriters
from fer_lmdb.results import FramePrediction, ImagePrediction
from fer_lmdb.runtime.executors import Executor

if TYPE_CHECKING:
    from fer_lmdb.inference.timeline import Timeline


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
    left_out: LeftOut | None = None,
) -> Generator[ImagePrediction | FramePrediction | VideoSummary]:
    """Predict images and videos and write the result files.

    Args:
        paths: Files, folders and patterns; consumed one by one unless an output exists already.
        recognizer: Recognizer.
        outputs: Files and folders for results.
        executor: Executor for images; None runs them in this process. Videos always run in this process.
        detect_every: Run the detector on every k-th frame of a video; faces are tracked in between.
        left_out: Counts the paths that are not predicted.

    Returns:
        Iterator in the order of the files: one ImagePrediction per image; for each video its FramePredictions, then
        its VideoSummary.

    Raises:
        ImageError: If a result file cannot be written, or would overwrite an input file.
    """
    guard = NO_GUARD
    if any_exist(outputs.all):  # an output may be an input file, so all inputs must be known
        paths = list(paths)
        guard = OverwriteGuard(find_files(paths, outputs.folders), outputs.all)
    with ResultWriters(recognizer.classes, outputs, guard) as writers:
        files = find_files(paths, outputs.folders, left_out=left_out)
        for are_videos, group in groupby(files, key=lambda file: file.is_video and file.error is None):
            if are_videos:
                for file in group:
                    yield from _predict_video(file, recognizer, writers, detect_every)
            else:
                for file, prediction in predict_sources(group, recognizer, executor):
                    writers.add(file, prediction)
                    yield prediction


def _predict_video(
    file: InputFile, recognizer: Recognizer, writers: ResultWriters, detect_every: int
) -> Generator[FramePrediction | VideoSummary]:
    from fer_lmdb.inference.video import predict_video  # imports PyAV, which images do not need

    error = None
    with writers.video(file) as video:
        for frame in predict_video(file.path, recognizer, detect_every=detect_every):
            video.add(frame)
            error = frame.error
            yield frame
    yield VideoSummary(str(file.path), video.timeline, error, video.audio_note)
