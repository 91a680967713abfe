"""Follows faces from frame to frame of a video: the same person keeps the same number, and boxes do not tremble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Detector, Face, Image

MAX_MISSED_FRAMES = 10
"""Frames that a face goes on without being found, at least."""

TrackState = NDArray[np.float64]
"""(4 + 2 K,) x, y, width, height of the box, then x, y of every landmark."""


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face of one frame that belongs to a track.

    Attributes:
        id: number of the track, from 1 in the order of appearance; never used twice.
        face: smoothed box and landmarks, score of the last detection.
        detected: whether the detector found it in this very frame (False: where it should be by now).
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
    """Joins detections of consecutive frames to tracks.

    A new position is a mean of where the track should be (its last position and speed) and where the detector sees
    it. Pairs are chosen so that boxes overlap most in total (Hungarian method).

    Args:
        smoothing: 0 takes every detection as it is; towards 1 positions follow more slowly.
        min_overlap: intersection over union below which a detection is another face.
        max_missed_frames: frames that a track goes on without a detection before it ends, those in which the detector
            was not asked among them.
    """

    def __init__(
        self, smoothing: float = 0.4, min_overlap: float = 0.3, max_missed_frames: int = MAX_MISSED_FRAMES
    ) -> None:
        if not 0 <= smoothing < 1:
            raise DetectorError(f"smoothing is {smoothing}; expected at least 0 and less than 1")
        self.smoothing = smoothing
        self.min_overlap = min_overlap
        self.max_missed_frames = max_missed_frames
        self._tracks: list[_Track] = []
        self._next_id = 1

    def update(self, faces: Sequence[Face] | None) -> list[TrackedFace]:
        """Take the next frame.

        Args:
            faces: what the detector found in it; None where it was not asked.

        Returns:
            The tracks that are alive, oldest first.
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
        overlaps = _overlaps([track.state for track in self._tracks], states)
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
        joined = {new: old for old, new in pairs if overlaps[old, new] >= self.min_overlap}
        for index, (face, state) in enumerate(zip(faces, states, strict=True)):
            if index in joined:
                self._correct(self._tracks[joined[index]], state, face.score)
            else:
                self._tracks.append(_Track(self._next_id, state, np.zeros_like(state), face.score))
                self._next_id += 1
        for index, track in enumerate(self._tracks):
            if track.missed_frames and index not in joined.values():
                track.velocity = np.zeros_like(track.velocity)  # a lost face waits where it was last

    def _correct(self, track: _Track, state: TrackState, score: float) -> None:
        frames = track.missed_frames
        track.missed_frames, track.score = 0, score
        if state.shape != track.state.shape:  # landmarks came or went
            track.state, track.velocity = state, np.zeros_like(state)
            return
        error = (1 - self.smoothing) * (state - track.state)
        track.state = track.state + error
        track.velocity = track.velocity + (1 - self.smoothing) / 2 * error / frames


class FaceTracker:
    """Finds and follows faces in the frames of a video, asking the detector only every few frames.

    Args:
        detector: what finds the faces.
        detect_every: the detector is asked in every so-many-th frame.
        tracker: what joins its finds; None for one that waits for two askings at least.
    """

    def __init__(self, detector: Detector, detect_every: int = 3, tracker: Tracker | None = None) -> None:
        if detect_every < 1:
            raise DetectorError(f"the detector is to run every {detect_every} frames; expected 1 or more")
        self.detector = detector
        self.detect_every = detect_every
        self.tracker = tracker or Tracker(max_missed_frames=max(MAX_MISSED_FRAMES, 2 * detect_every))
        self._frame = 0

    def update(self, frame: Image) -> list[TrackedFace]:
        """Take the next frame, uint8 RGB (H, W, 3), and say where the faces are."""
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


def _overlaps(first: list[TrackState], second: list[TrackState]) -> NDArray[np.float64]:
    """(M, N) intersection over union of the boxes of M and N states."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    one = np.stack([state[:4] for state in first])[:, None]
    other = np.stack([state[:4] for state in second])[None]
    begin = np.maximum(one[..., :2], other[..., :2])
    end = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = (end - begin).clip(0).prod(axis=-1)
    whole = one[..., 2:].prod(axis=-1) + other[..., 2:].prod(axis=-1) - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
