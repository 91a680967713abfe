"""Recognise expressions in the frames of a video: faces keep their numbers, probabilities do not flicker."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.faces import Face
from fer_lmdb.faces.tracking import FaceTracker, TrackedFace
from fer_lmdb.inference.images import to_json_path
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.io.video import VideoReader
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.runtime.background import prefetch

MIN_FACE_FRACTION = 1 / 12
"""Smallest face in a video as a part of the frame's shorter side (60 pixels of 720)."""
MIN_MISSED_FRAMES = 4
"""Frames that a face stays without being found, at least; else for two looks of the detector."""
SMOOTHING_SECONDS = 0.3
"""Probabilities are means over about this many seconds."""


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One frame and what was seen in it.

    Attributes:
        prediction: what `--json` prints.
        image: (H, W, 3) uint8 RGB; None where the video broke off.
    """

    prediction: FramePrediction
    image: NDArray[np.uint8] | None


def predict_video(path: str | os.PathLike[str], recognizer: Recognizer, detect_every: int = 3) -> Iterator[FrameResult]:
    """Yield every frame of a video with its faces; where the video breaks off, a last one with the reason.

    Args:
        path: the file.
        recognizer: who finds and classifies the faces.
        detect_every: the detector is asked in every so-many-th frame; in between faces are followed.
    """
    name = to_json_path(path)
    watching = VideoRecognizer(recognizer, detect_every)
    index, time_s = 0, 0.0
    try:
        with VideoReader(path) as video, closing(prefetch(iter(video))) as frames:
            for frame in frames:
                index, time_s = frame.index, frame.time_s
                faces = watching.update(frame.image, time_s)
                yield FrameResult(FramePrediction(name, index, time_s, tuple(faces)), frame.image)
    except ImageError as error:
        yield FrameResult(FramePrediction(name, index, time_s, (), str(error)), None)


class VideoRecognizer:
    """Takes the frames of one video or camera, one after the other.

    Args:
        recognizer: who finds and classifies the faces.
        detect_every: the detector is asked in every so-many-th frame.
    """

    def __init__(self, recognizer: Recognizer, detect_every: int = 3) -> None:
        self.recognizer = recognizer
        self.detect_every = detect_every
        self._faces = FaceTracker(_DetectorAdapter(recognizer), detect_every)
        self._unseen: dict[int, int] = {}
        self._smooth = ProbabilitySmoother()

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[FacePrediction]:
        """Take the next frame and return its faces, each with the person's number.

        A face that the detector misses once keeps its last probabilities: what lies there now may be no face. Missed
        again it is left out; a person who comes back soon has the same number.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: when it is shown, in seconds.
        """
        followed = self._faces.update(image)
        self._unseen = {one.id: 0 if one.detected else self._unseen.get(one.id, 0) + 1 for one in followed}
        self._smooth.forget_all_but(set(self._unseen))
        shown = [one for one in followed if self._unseen[one.id] < max(2 * self.detect_every, MIN_MISSED_FRAMES)]
        self._classify(image, [one for one in shown if self._unseen[one.id] < self.detect_every], time_s)
        return [
            self.recognizer.to_prediction(self._face(one), image, self._smooth.mean(one.id), one.id) for one in shown
        ]

    def _classify(self, image: NDArray[np.uint8], seen: list[TrackedFace], time_s: float) -> None:
        rows = self.recognizer.classify([image], [[self._face(one) for one in seen]])
        for one, row in zip(seen, rows, strict=True):
            self._smooth.update(one.id, row, time_s)

    def _face(self, tracked: TrackedFace) -> Face | None:
        return tracked.face if self.recognizer.has_detector else None


class ProbabilitySmoother:
    """Running means of probabilities, one for every person."""

    def __init__(self) -> None:
        self._means: dict[int, tuple[NDArray[np.float32], float]] = {}

    def update(self, number: int, row: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Take a person's probabilities at a time; return the mean, in which older ones fade away."""
        mean, before = self._means.get(number, (row, -math.inf))
        share = 1 - math.exp(-max(0.0, time_s - before) / SMOOTHING_SECONDS)
        mean = mean + np.float32(share) * (row - mean)
        self._means[number] = (mean, time_s)
        return mean

    def mean(self, number: int) -> NDArray[np.float32]:
        """Return a person's mean as it was last."""
        return self._means[number][0]

    def forget_all_but(self, numbers: set[int]) -> None:
        """Drop the people who are gone."""
        self._means = {number: mean for number, mean in self._means.items() if number in numbers}


@dataclass(frozen=True)
class _DetectorAdapter:
    """The recogniser's way of finding faces, as the tracker wants it; the whole frame where there is no detector."""

    recognizer: Recognizer

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        found = self.recognizer.detect(images, MIN_FACE_FRACTION)
        return [[face or _whole(image) for face in faces] for image, faces in zip(images, found, strict=True)]


def _whole(image: NDArray[np.uint8]) -> Face:
    return Face(np.array([0, 0, image.shape[1], image.shape[0]], np.float32), 1.0)
