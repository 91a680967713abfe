"""Face tracking: stable track IDs and smoothed boxes across the frames of a video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.boxes import iou
from fer_lmdb.faces.cuts import CutDetector
from fer_lmdb.faces.detectors.base import Detector, Face, Image

MAX_MISSED_S = 0.4
"""Time in seconds without a detection after which a track ends, if the detector has run in between."""
MAX_GAP_S = 2.0
"""Default time in seconds between two runs of the detector after which tracks are not continued."""
MAX_EXTRAPOLATION_S = 0.4
"""Longest time in seconds that a position is extrapolated."""
DEFAULT_RATE = 25.0
"""Frames per second if frames come without times."""

TrackState = NDArray[np.float64]
"""(4 + 2 K,) float64 x, y, width, height of the box, then x, y of each landmark."""


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """Face of a track in one frame.

    Attributes:
        id: Track ID, from 1 in order of appearance; never reused.
        face: Smoothed box and landmarks, with the score of the last detection.
        detected: Whether the last run of the detector found the face. If not, box and landmarks are held over from
            earlier frames.
        missed_s: Time in seconds since the last detection.
    """

    id: int
    face: Face
    detected: bool
    missed_s: float = 0.0


@dataclass
class _Track:
    id: int
    state: TrackState
    velocity: TrackState
    score: float
    seen_s: float
    detected: bool = True


class Tracker:
    """Match detections of consecutive frames to tracks.

    A new position is the weighted mean of the extrapolated position (from the last position and velocity) and the
    detection. Tracks and detections are matched by maximum total overlap (Hungarian method).

    Args:
        smoothing: Weight of the extrapolated position, from 0 (detections only) to below 1.
        min_overlap: Minimum intersection over union of a match.
        max_missed_s: Time in seconds without a detection after which a track ends.
        max_gap_s: Time in seconds between two runs of the detector after which tracks are not continued.

    Raises:
        DetectorError: If `smoothing` is out of range.
    """

    def __init__(
        self,
        smoothing: float = 0.4,
        min_overlap: float = 0.3,
        max_missed_s: float = MAX_MISSED_S,
        max_gap_s: float = MAX_GAP_S,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise DetectorError(f"invalid smoothing: found {smoothing}, expected at least 0 and less than 1")
        self.smoothing = smoothing
        self.min_overlap = min_overlap
        self.max_missed_s = max_missed_s
        self.max_gap_s = max_gap_s
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._time_s = -math.inf

    def update(self, faces: Sequence[Face] | None, time_s: float) -> list[TrackedFace]:
        """Process the next frame.

        Args:
            faces: Detections; None if the detector did not run on this frame.
            time_s: Time of the frame in seconds; never less than that of the frame before.

        Returns:
            The active tracks, oldest first.
        """
        step_s = min(time_s - self._time_s, MAX_EXTRAPOLATION_S)
        self._time_s = time_s
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= self.max_gap_s]
        for track in self._tracks:
            track.state = track.state + track.velocity * step_s
        if faces is not None:
            self._match(faces, time_s)
            self._tracks = [
                track for track in self._tracks if track.detected or time_s - track.seen_s <= self.max_missed_s
            ]
        return [TrackedFace(track.id, _face(track), track.detected, time_s - track.seen_s) for track in self._tracks]

    def swap(self, tracks: list[_Track]) -> list[_Track]:
        """Replace the active tracks, e.g. at a cut by none, and return them; IDs are never reused."""
        active, self._tracks = self._tracks, tracks
        return active

    def _match(self, faces: Sequence[Face], time_s: float) -> None:
        states = [_state(face) for face in faces]
        overlaps = iou(_boxes(track.state for track in self._tracks), _boxes(states))
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
        matches = {new: old for old, new in pairs if overlaps[old, new] >= self.min_overlap}
        for index, track in enumerate(self._tracks):
            track.detected = index in matches.values()
            if not track.detected:
                track.velocity = np.zeros_like(track.velocity)  # a lost face stays at its last position
        for index, (face, state) in enumerate(zip(faces, states, strict=True)):
            if index in matches:
                self._correct(self._tracks[matches[index]], state, face.score, time_s)
            else:
                self._tracks.append(_Track(self._next_id, state, np.zeros_like(state), face.score, time_s))
                self._next_id += 1

    def _correct(self, track: _Track, state: TrackState, score: float, time_s: float) -> None:
        elapsed_s = time_s - track.seen_s
        track.seen_s, track.score = time_s, score
        if state.shape != track.state.shape:  # landmarks appeared or disappeared
            track.state, track.velocity = state, np.zeros_like(state)
            return
        error = (1 - self.smoothing) * (state - track.state)
        track.state = track.state + error
        if elapsed_s > 0:
            track.velocity = track.velocity + (1 - self.smoothing) / 2 * error / elapsed_s


class FaceTracker:
    """Track faces through the frames of a video, with detection on every k-th frame.

    The detector also runs after a cut, which ends all tracks, and as soon as the time of k frames at 25 per second has
    passed, so that videos with few frames a second are looked at in each of them.

    Args:
        detector: Face detector.
        detect_every: Run the detector on every k-th frame, 1 or more.
        tracker: Tracker; None for one that bridges two runs of the detector.

    Raises:
        DetectorError: If `detect_every` is out of range.
    """

    def __init__(self, detector: Detector, detect_every: int = 3, tracker: Tracker | None = None) -> None:
        if detect_every < 1:
            raise DetectorError(f"invalid detect_every: found {detect_every}, expected 1 or more")
        self.detector = detector
        self.detect_every = detect_every
        self.tracker = tracker or Tracker(max_gap_s=max(MAX_GAP_S, 2 * detect_every / DEFAULT_RATE))
        self._cuts = CutDetector()
        self._shot = 0
        self._suspended: dict[int, list[_Track]] = {}
        self._frames = 0
        self._frames_since = detect_every
        self._detected_s = 0.0

    def update(self, frame: Image, time_s: float | None = None) -> list[TrackedFace]:
        """Process the next frame and return its faces.

        Args:
            frame: (H, W, 3) uint8 RGB.
            time_s: Time of the frame in seconds; None if there are 25 frames a second.
        """
        time_s = self._frames / DEFAULT_RATE if time_s is None else time_s
        self._frames += 1
        faces = None
        if self._begins_shot(frame, time_s) or self._is_due(time_s):
            faces = self.detector.detect([frame])[0]
            self._frames_since, self._detected_s = 0, time_s
        self._frames_since += 1
        return self.tracker.update(faces, time_s)

    def _is_due(self, time_s: float) -> bool:
        return self._frames_since >= self.detect_every or (
            time_s - self._detected_s >= self.detect_every / DEFAULT_RATE - 1e-6
        )

    def _begins_shot(self, frame: Image, time_s: float) -> bool:
        """Return whether the frame is of another shot than the one before; the tracks of that one are suspended."""
        before, self._shot = self._shot, self._cuts.update(frame, time_s)
        if self._shot == before:
            return False
        tracks = self._suspended.pop(self._shot, [])
        self._suspended = {before: self.tracker.swap(tracks)}
        return True


def _state(face: Face) -> TrackState:
    landmarks = np.empty(0) if face.landmarks is None else face.landmarks.ravel()
    return np.concatenate([face.box, landmarks]).astype(np.float64)


def _face(track: _Track) -> Face:
    state = track.state.astype(np.float32)
    landmarks = state[4:].reshape(-1, 2) if len(state) > 4 else None
    return Face(np.maximum(state[:4], [-np.inf, -np.inf, 0, 0]).astype(np.float32), track.score, landmarks)


def _boxes(states: Iterable[TrackState]) -> NDArray[np.float64]:
    return np.array([state[:4] for state in states]).reshape(-1, 4)
