"""Video inference with track IDs and temporally smoothed probabilities."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.faces import Face
from fer_lmdb.faces.boxes import clip_box
from fer_lmdb.faces.tracking import MAX_GAP_S, FaceTracker, TrackedFace
from fer_lmdb.inference.images import to_json_path
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.io.animation import open_frames
from fer_lmdb.ranges import DETECT_EVERY, FPS
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.runtime.background import prefetch

MIN_FACE_FRACTION = 1 / 12
"""Default minimum face size in videos as a fraction of the frame's shorter side (60 pixels of 720)."""
HELD_S = 0.2
"""Time in seconds that a face remains in the results although the detector has missed it."""
SMOOTHING_SECONDS = 0.3
"""Time constant of the running mean of probabilities."""


def predict_video(
    path: str | os.PathLike[str],
    recognizer: Recognizer | None = None,
    *,
    detect_every: int = 3,
    fps: float | None = None,
    keep_images: bool = True,
) -> Generator[FramePrediction]:
    """Yield the predictions of each frame; if the video is damaged, the last one has the error.

    Args:
        path: Video file, animated image, or TIFF with several pages.
        recognizer: Recognizer; None loads the default model.
        detect_every: Run the detector on every k-th frame; faces are tracked in between.
        fps: Frames per second to look at; the others are skipped. None looks at all.
        keep_images: Return the pixels in `FramePrediction.image`; pass False to collect many results in a list.

    Raises:
        OptionError: If `detect_every` or `fps` are out of range.
    """
    check_fps(fps)
    name = to_json_path(path)
    frame_recognizer = VideoRecognizer(recognizer or Recognizer(), detect_every)
    index, time_s = 0, 0.0
    try:
        with open_frames(path, fps) as video, closing(prefetch(iter(video))) as frames:
            for frame in frames:
                index, time_s = frame.index, frame.time_s
                faces = tuple(frame_recognizer.update(frame.image, time_s))
                yield FramePrediction(name, index, time_s, faces, image=frame.image if keep_images else None)
    except ImageError as error:
        yield FramePrediction(name, index, time_s, (), str(error))


def check_fps(fps: float | None) -> None:
    """Raise OptionError for a number of frames per second that is out of range."""
    if fps is not None:
        FPS.check("fps", fps)


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
        self._smoother = ProbabilitySmoother()

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[FacePrediction]:
        """Process the next frame and return its faces with track IDs.

        A face that the detector misses keeps its last box and probabilities for `HELD_S` seconds with `detected` False,
        since its box may not show a face anymore. A person who reappears soon has the same ID. At a cut all tracks end.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: Presentation time of the frame in seconds.
        """
        tracked = self._tracker.update(image, time_s)
        rows = self._classify(image, [one for one in tracked if one.detected], time_s)
        self._smoother.keep_until(time_s - MAX_GAP_S)
        shown = [one for one in tracked if one.detected or (one.missed_s <= HELD_S and self._smoother.has(one.id))]
        if self.recognizer.max_faces is not None:  # a new face takes the place of one that is held over
            kept = {one.id for one in sorted(shown, key=lambda one: not one.detected)[: self.recognizer.max_faces]}
            shown = [one for one in shown if one.id in kept]
        predictions = (self._to_prediction(one, image, rows.get(one.id)) for one in shown)
        return [prediction for prediction in predictions if prediction is not None]

    def _classify(
        self, image: NDArray[np.uint8], tracked: list[TrackedFace], time_s: float
    ) -> dict[int, NDArray[np.float32]]:
        """Return the probabilities of this frame by track ID, and add them to the running means."""
        rows = self.recognizer.classify([image], [[self._face(one) for one in tracked]])
        for one, row in zip(tracked, rows, strict=True):
            self._smoother.update(one.id, row, time_s)
        return {one.id: row for one, row in zip(tracked, rows, strict=True)}

    def _to_prediction(
        self, tracked: TrackedFace, image: NDArray[np.uint8], row: NDArray[np.float32] | None
    ) -> FacePrediction | None:
        """Return the prediction of a face; None if its box is outside the image."""
        face = self._face(tracked)
        if face is not None:
            box = clip_box(face.box, image.shape[1], image.shape[0])
            if box[2] < 1 or box[3] < 1:
                return None
            face = Face(box, face.score, face.landmarks)
        prediction = self.recognizer.to_prediction(face, image, self._smoother.mean(tracked.id), tracked.id)
        unsmoothed = None if row is None else dict(zip(self.recognizer.classes, row.tolist(), strict=True))
        return replace(prediction, detected=tracked.detected, unsmoothed_probabilities=unsmoothed)

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

    def has(self, track_id: int) -> bool:
        """Return whether a track has a mean."""
        return track_id in self._means

    def keep_until(self, oldest_s: float) -> None:
        """Drop the tracks whose last probabilities are older than a time."""
        self._means = {track_id: mean for track_id, mean in self._means.items() if mean[1] >= oldest_s}


@dataclass(frozen=True)
class _DetectorAdapter:
    """Recognizer as the detector of a FaceTracker; without a detector, the full frame is the face."""

    recognizer: Recognizer

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        detected = self.recognizer.detect(images, MIN_FACE_FRACTION)
        return [[face or _full_frame(image) for face in faces] for image, faces in zip(images, detected, strict=True)]


def _full_frame(image: NDArray[np.uint8]) -> Face:
    return Face(np.array([0, 0, image.shape[1], image.shape[0]], np.float32), 1.0)
