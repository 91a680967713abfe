"""Face tracking: stable track IDs and smoothed boxes across the frames of a video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.boxes import iou
from fer_lmdb.faces.detectors.base import Detector, Face, Image

MAX_MISSED_FRAMES = 10
"""Default number of frames without a detection after which a track ends."""

TrackState = NDArray[np.float64]
"""(4 + 2 K,) float64 x, y, width, height of the box, then x, y of each landmark."""


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """Face of a track in one frame.

    Attributes:
        id: Track ID, from 1 in order of appearance; never reused.
        face: Smoothed box and landmarks, with the score of the last detection.
        detected: Whether the face was detected in this frame; if not, its position is extrapolated.
    """

    id: int
    face: Face
    detected: bool


@dataclass
class _Track:
    id: int
    state: TrackState
    velocity: TrackState
    score: float
    missed_frames: int = 0


class Tracker:
    """Match detections of consecutive frames to tracks.

    A new position is the weighted mean of the extrapolated position (from the last position and velocity) and the
    detection. Tracks and detections are matched by maximum total overlap (Hungarian method).

    Args:
        smoothing: Weight of the extrapolated position, from 0 (detections only) to below 1.
        min_overlap: Minimum intersection over union of a match.
        max_missed_frames: Number of frames without a detection after which a track ends. Frames without a run of the
            detector count.

    Raises:
        DetectorError: If `smoothing` is out of range.
    """

    def __init__(
        self, smoothing: float = 0.4, min_overlap: float = 0.3, max_missed_frames: int = MAX_MISSED_FRAMES
    ) -> None:
        if not 0 <= smoothing < 1:
            raise DetectorError(f"invalid smoothing: found {smoothing}, expected at least 0 and less than 1")
        self.smoothing = smoothing
        self.min_overlap = min_overlap
        self.max_missed_frames = max_missed_frames
        self._tracks: list[_Track] = []
        self._next_id = 1

    def update(self, faces: Sequence[Face] | None) -> list[TrackedFace]:
        """Process the next frame.

        Args:
            faces: Detections; None if the detector did not run on this frame.

        Returns:
            The active tracks, oldest first.
        """
        for track in self._tracks:
            track.state = track.state + track.velocity
            track.missed_frames += 1
        if faces is not None:
            self._match(faces)
        self._tracks = [track for track in self._tracks if track.missed_frames <= self.max_missed_frames]
        return [TrackedFace(track.id, _face(track), track.missed_frames == 0) for track in self._tracks]

    def _match(self, faces: Sequence[Face]) -> None:
        states = [_state(face) for face in faces]
        overlaps = iou(_boxes(track.state for track in self._tracks), _boxes(states))
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
        matches = {new: old for old, new in pairs if overlaps[old, new] >= self.min_overlap}
        for index, (face, state) in enumerate(zip(faces, states, strict=True)):
            if index in matches:
                self._correct(self._tracks[matches[index]], state, face.score)
            else:
                self._tracks.append(_Track(self._next_id, state, np.zeros_like(state), face.score))
                self._next_id += 1
        for index, track in enumerate(self._tracks):
            if track.missed_frames and index not in matches.values():
                track.velocity = np.zeros_like(track.velocity)  # a lost face stays at its last position

    def _correct(self, track: _Track, state: TrackState, score: float) -> None:
        frames = track.missed_frames
        track.missed_frames, track.score = 0, score
        if state.shape != track.state.shape:  # landmarks appeared or disappeared
            track.state, track.velocity = state, np.zeros_like(state)
            return
        error = (1 - self.smoothing) * (state - track.state)
        track.state = track.state + error
        track.velocity = track.velocity + (1 - self.smoothing) / 2 * error / frames


class FaceTracker:
    """Track faces through the frames of a video, with detection on every k-th frame.

    Args:
        detector: Face detector.
        detect_every: Run the detector on every k-th frame, 1 or more.
        tracker: Tracker; None for one that bridges at least two runs of the detector without a detection.

    Raises:
        DetectorError: If `detect_every` is out of range.
    """

    def __init__(self, detector: Detector, detect_every: int = 3, tracker: Tracker | None = None) -> None:
        if detect_every < 1:
            raise DetectorError(f"invalid detect_every: found {detect_every}, expected 1 or more")
        self.detector = detector
        self.detect_every = detect_every
        self.tracker = tracker or Tracker(max_missed_frames=max(MAX_MISSED_FRAMES, 2 * detect_every))
        self._frame = 0

    def update(self, frame: Image) -> list[TrackedFace]:
        """Process the next frame, uint8 RGB (H, W, 3), and return its faces."""
        faces = self.detector.detect([frame])[0] if self._frame % self.detect_every == 0 else None
        self._frame += 1
        return self.tracker.update(faces)


def _state(face: Face) -> TrackState:
    landmarks = np.empty(0) if face.landmarks is None else face.landmarks.ravel()
    return np.concatenate([face.box, landmarks]).astype(np.float64)


def _face(track: _Track) -> Face:
    state = track.state.astype(np.float32)
    landmarks = state[4:].reshape(-1, 2) if len(state) > 4 else None
    return Face(np.maximum(state[:4], [-np.inf, -np.inf, 0, 0]).astype(np.float32), track.score, landmarks)


def _boxes(states: Iterable[TrackState]) -> NDArray[np.float64]:
    return np.array([state[:4] for state in states]).reshape(-1, 4)
