"""Face tracking across frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces import Face
from fer_lmdb.faces.tracking import FaceTracker, TrackedFace, Tracker


def face(x: float, y: float = 50, size: float = 40, score: float = 0.9) -> Face:
    landmarks = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.8], [0.7, 0.8]]) * size + [x, y]
    return Face(np.array([x, y, size, size], np.float32), score, landmarks.astype(np.float32))


FRAME_S = 0.04


class Film:
    """A tracker that gets 25 frames a second."""

    def __init__(self, tracker: Tracker | None = None) -> None:
        self.tracker, self.index = tracker or Tracker(), -1

    def update(self, faces: Sequence[Face] | None) -> list[TrackedFace]:
        self.index += 1
        return self.tracker.update(faces, self.index * FRAME_S)


def test_track_ids_do_not_depend_on_the_order_of_detections() -> None:
    tracker = Film()
    assert [tracked.id for tracked in tracker.update([face(0), face(200)])] == [1, 2]
    for step in range(1, 20):
        tracked = tracker.update([face(200 - step), face(3 * step)])
        assert [item.id for item in tracked] == [1, 2]
    assert tracked[0].face.box[0] < 80 < tracked[1].face.box[0]


def test_crossing_faces_are_matched_by_overlap() -> None:
    tracker = Film()
    tracker.update([face(0, 0), face(30, 20)])
    tracked = tracker.update([face(28, 20), face(2, 0)])
    assert [item.id for item in tracked] == [1, 2]
    assert tracked[0].face.box[0] < 10


def test_a_face_elsewhere_gets_a_new_id_and_ids_are_not_reused() -> None:
    tracker = Film(Tracker(max_missed_s=0))
    tracker.update([face(0)])
    assert [item.id for item in tracker.update([face(300)])] == [2]
    assert tracker.update([]) == []
    assert [item.id for item in tracker.update([face(0)])] == [3]


def test_jitter_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    tracker = Film(Tracker(smoothing=0.7))
    raw = 100 + rng.normal(0, 3, 200)
    smooth = [tracker.update([face(x)])[0].face.box[0] for x in raw]
    assert np.abs(np.diff(smooth)).mean() < 0.5 * np.abs(np.diff(raw)).mean()
    assert abs(np.mean(smooth) - 100) < 1


def test_without_smoothing_tracks_equal_detections() -> None:
    tracker = Film(Tracker(smoothing=0))
    for x in (0, 5, 3):
        (tracked,) = tracker.update([face(x)])
        np.testing.assert_allclose(tracked.face.box, face(x).box, atol=1e-4)
        np.testing.assert_allclose(tracked.face.landmarks, face(x).landmarks, atol=1e-4)


def test_a_moving_face_is_extrapolated_between_detections() -> None:
    tracker = Film()
    for step in range(30):
        (tracked,) = tracker.update([face(4 * step)] if step % 3 == 0 else None)
        assert tracked.detected  # the last run of the detector found it
        assert tracked.missed_s == pytest.approx(step % 3 * FRAME_S)
    assert abs(tracked.face.box[0] - 4 * 29) < 4
    assert abs(tracked.face.landmarks[2, 0] - (4 * 29 + 20)) < 4


def test_a_lost_face_keeps_its_position_and_id() -> None:
    tracker = Film(Tracker(max_missed_s=0.2))
    for step in range(5):
        tracker.update([face(2 * step)])
    for _ in range(5):
        (waiting,) = tracker.update([])
        assert not waiting.detected
    (back,) = tracker.update([face(10)])
    assert (back.id, back.detected) == (1, True)
    for _ in range(5):
        tracker.update([])
    assert tracker.update([]) == []


def test_landmarks_can_appear_and_disappear() -> None:
    tracker = Film()
    tracker.update([face(0)])
    (tracked,) = tracker.update([Face(face(1).box, 0.8)])
    assert tracked.id == 1
    assert tracked.face.landmarks is None


def test_the_detector_runs_every_third_frame() -> None:
    class Counting:
        calls = 0

        def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
            self.calls += 1
            return [[face(10)] for _ in images]

    detector = Counting()
    video = FaceTracker(detector, detect_every=3)
    frames = [video.update(np.zeros((100, 100, 3), np.uint8)) for _ in range(7)]
    assert detector.calls == 3
    assert [[item.id for item in frame] for frame in frames] == [[1]] * 7


@pytest.mark.parametrize("every", [1, 11, 12, 25])
def test_a_track_survives_any_detection_interval(every: int) -> None:
    class Still:
        def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
            return [[face(10)] for _ in images]

    video = FaceTracker(Still(), every)
    frames = [video.update(np.zeros((100, 100, 3), np.uint8)) for _ in range(51)]
    assert [[item.id for item in frame] for frame in frames] == [[1]] * 51


class Scripted:
    """A detector that finds given faces in each call."""

    def __init__(self, *found: list[Face]) -> None:
        self.found = list(found)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        return [self.found.pop(0) for _ in images]


def scene(seed: int) -> np.ndarray:
    """Return an image with large random blocks, (90, 160, 3) uint8."""
    blocks = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), dtype=np.uint8)
    return np.repeat(np.repeat(blocks, 10, axis=0), 10, axis=1)


def test_few_frames_a_second_are_each_looked_at_and_faces_are_not_held() -> None:
    image = scene(0)
    video = FaceTracker(Scripted([face(10)], [], [face(10)], [face(12)]), detect_every=3)
    assert [[item.id for item in video.update(image, float(second))] for second in range(4)] == [[1], [], [2], [2]]


def test_tracks_are_held_for_seconds_at_any_frame_rate() -> None:
    for fps in (5, 25, 100):
        tracker = Tracker()
        tracker.update([face(10)], 0.0)
        counts = [len(tracker.update([], index / fps)) for index in range(1, fps + 1)]
        assert sum(counts) == pytest.approx(0.4 * fps, abs=1)


def test_a_long_gap_ends_a_track() -> None:
    tracker = Tracker()
    tracker.update([face(10)], 0.0)
    assert [item.id for item in tracker.update([face(10)], 1.9)] == [1]
    assert [item.id for item in tracker.update([face(10)], 5.0)] == [2]


def test_a_cut_ends_all_tracks_and_the_detector_runs() -> None:
    video = FaceTracker(Scripted([face(10)], [face(10)]), detect_every=3)
    shots = [scene(1), scene(1), scene(2), scene(2)]
    assert [[item.id for item in video.update(image)] for image in shots] == [[1], [1], [2], [2]]


def test_tracks_continue_after_a_flash() -> None:
    video = FaceTracker(Scripted([face(10)], [], [face(10)]), detect_every=3)
    white = np.full_like(scene(1), 255)
    shots = [scene(1), scene(1), white, scene(1), scene(1)]
    assert [[item.id for item in video.update(image)] for image in shots] == [[1], [1], [], [1], [1]]


def test_invalid_settings() -> None:
    with pytest.raises(DetectorError, match="invalid smoothing: found 1"):
        Tracker(smoothing=1)
    with pytest.raises(DetectorError, match="invalid detect_every: found 0"):
        FaceTracker(Tracker(), detect_every=0)  # type: ignore[arg-type]
