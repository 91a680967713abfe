"""Video inference with track IDs and temporally smoothed probabilities."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.faces import Face
from fer_lmdb.faces.tracking import FaceTracker, TrackedFace
from fer_lmdb.inference.images import to_json_path
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.io.animation import open_frames
from fer_lmdb.ranges import DETECT_EVERY
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.runtime.background import prefetch

MIN_FACE_FRACTION = 1 / 12
"""Default minimum face size in videos as a fraction of the frame's shorter side (60 pixels of 720)."""
MIN_MISSED_FRAMES = 4
"""Minimum number of frames that an undetected face remains in the results; the default is two detector intervals."""
SMOOTHING_SECONDS = 0.3
"""Time constant of the running mean of probabilities."""


def predict_video(
    path: str | os.PathLike[str],
    recognizer: Recognizer | None = None,
    *,
    detect_every: int = 3,
    keep_images: bool = True,
) -> Generator[FramePrediction]:
    """Yield the predictions of each frame; if the video is damaged, the last one has the error.

    Args:
        path: Video file, animated image, or TIFF with several pages.
        recognizer: Recognizer; None loads the default model.
        detect_every: Run the detector on every k-th frame; faces are tracked in between.
        keep_images: Return the pixels in `FramePrediction.image`; pass False to collect many results in a list.
    """
    name = to_json_path(path)
    frame_recognizer = VideoRecognizer(recognizer or Recognizer(), detect_every)
    index, time_s = 0, 0.0
    try:
        with open_frames(path) as video, closing(prefetch(iter(video))) as frames:
            for frame in frames:
                index, time_s = frame.index, frame.time_s
                faces = tuple(frame_recognizer.update(frame.image, time_s))
                yield FramePrediction(name, index, time_s, faces, image=frame.image if keep_images else None)
    except ImageError as error:
        yield FramePrediction(name, index, time_s, (), str(error))


class VideoRecognizer:
    """Recognize expressions in consecutive frames of one video or camera.

    Args:
        recognizer: Recognizer.
        detect_every: Run the detector on every k-th frame; faces are tracked in between.
    """

    def __init__(self, recognizer: Recognizer, detect_every: int = 3) -> None:
        DETECT_EVERY.check("detect_every", detect_every)
        self.recognizer = recognizer
        self.detect_every = detect_every
        self._tracker = FaceTracker(_DetectorAdapter(recognizer), detect_every)
        self._missed: dict[int, int] = {}
        self._smoother = ProbabilitySmoother()

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[FacePrediction]:
        """Process the next frame and return its faces with track IDs.

        A face that the detector misses once keeps its last probabilities, since its box may not show a face anymore.
        Missed again, it is dropped; a person who reappears soon has the same ID.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: Presentation time of the frame in seconds.
        """
        tracked = self._tracker.update(image)
        self._missed = {one.id: 0 if one.detected else self._missed.get(one.id, 0) + 1 for one in tracked}
        self._smoother.keep_only(set(self._missed))
        limit = max(2 * self.detect_every, MIN_MISSED_FRAMES)
        visible = [one for one in tracked if self._missed[one.id] < limit]
        self._classify(image, [one for one in visible if self._missed[one.id] < self.detect_every], time_s)
        return [
            self.recognizer.to_prediction(self._face(one), image, self._smoother.mean(one.id), one.id)
            for one in visible
        ]

    def _classify(self, image: NDArray[np.uint8], tracked: list[TrackedFace], time_s: float) -> None:
        rows = self.recognizer.classify([image], [[self._face(one) for one in tracked]])
        for one, row in zip(tracked, rows, strict=True):
            self._smoother.update(one.id, row, time_s)

    def _face(self, tracked: TrackedFace) -> Face | None:
        return tracked.face if self.recognizer.has_detector else None


class ProbabilitySmoother:
    """Running mean of probabilities per track ID."""

    def __init__(self) -> None:
        self._means: dict[int, tuple[NDArray[np.float32], float]] = {}

    def update(self, track_id: int, probabilities: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Add the probabilities of a frame and return the exponentially weighted mean."""
        mean, before = self._means.get(track_id, (probabilities, -math.inf))
        weight = 1 - math.exp(-max(0.0, time_s - before) / SMOOTHING_SECONDS)
        mean = mean + np.float32(weight) * (probabilities - mean)
        self._means[track_id] = (mean, time_s)
        return mean

    def mean(self, track_id: int) -> NDArray[np.float32]:
        """Return the last mean of a track."""
        return self._means[track_id][0]

    def keep_only(self, track_ids: set[int]) -> None:
        """Drop all other tracks."""
        self._means = {track_id: mean for track_id, mean in self._means.items() if track_id in track_ids}


@dataclass(frozen=True)
class _DetectorAdapter:
    """Recognizer as the detector of a FaceTracker; without a detector, the full frame is the face."""

    recognizer: Recognizer

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        detected = self.recognizer.detect(images, MIN_FACE_FRACTION)
        return [[face or _full_frame(image) for face in faces] for image, faces in zip(images, detected, strict=True)]


def _full_frame(image: NDArray[np.uint8]) -> Face:
    return Face(np.array([0, 0, image.shape[1], image.shape[0]], np.float32), 1.0)
