"""Synthetic faces: determinism, layout and separability of the classes."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.face_canvas import Pose
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.synthetic import (
    ACTION_UNITS,
    SyntheticFaces,
    draw_face,
    random_appearance,
    write_synthetic_csv,
)
from fer_lmdb.data.sources.synthetic_face import draw
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013

FRONTAL = Pose(roll=0, yaw=0, scale=0.4, shift_x=0, shift_y=0)


def test_faces_depend_on_the_seed() -> None:
    first, again, other = (list(SyntheticFaces(9, 3, 2, seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_faces_do_not_depend_on_their_number() -> None:
    few, many = list(SyntheticFaces(4, 0, 0)), list(SyntheticFaces(9, 0, 0))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(few, many, strict=False))


def test_counts_splits_names_and_labels() -> None:
    source = SyntheticFaces(15, 8, 7)
    samples = list(source)
    assert source.size_hint() == len(samples) == 30
    assert [sum(face.split == split for face in samples) for split in ("train", "val", "test")] == [15, 8, 7]
    assert np.bincount([face.label for face in samples]).tolist() == [5, 5, 4, 4, 4, 4, 4]
    assert samples[16].name == "/val/2/00016.png"
    assert samples[16].row == 16
    assert all(face.image.shape == (48, 48) and face.image.dtype == np.uint8 for face in samples)


def test_the_digest_depends_on_the_pixels() -> None:
    digests = []
    for source in (SyntheticFaces(3, 0, 0), SyntheticFaces(3, 0, 0), SyntheticFaces(3, 0, 0, seed=9)):
        list(source)
        digests.append(source.sha256())
    assert digests[0] == digests[1] != digests[2]


def test_negative_counts_are_rejected() -> None:
    with pytest.raises(SourceError, match="found -1, expected 0 or more"):
        SyntheticFaces(3, -1, 2)


def test_each_class_has_action_units() -> None:
    assert set(ACTION_UNITS) == set(FER2013.classes)


def test_the_csv_is_read_back_as_fer2013(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "new" / "faces.csv", 6, 3, 2, seed=4)
    read = list(Fer2013Csv(tmp_path / "new" / "faces.csv"))
    for expected, face in zip(SyntheticFaces(6, 3, 2, seed=4), read, strict=True):
        assert isinstance(face, Sample)
        np.testing.assert_array_equal(face.image, expected.image)
        assert (face.label, face.split, face.name) == (expected.label, expected.split, expected.name)


def test_a_csv_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"cannot write .*faces\.csv"):
        write_synthetic_csv(tmp_path / "file" / "faces.csv", 1, 0, 0)


def landmarks_of(units: dict[int, float]) -> np.ndarray:
    appearance = random_appearance(np.random.default_rng(0))
    return draw(appearance, FRONTAL, units, 400)[1]


def test_landmarks_match_the_drawn_features() -> None:
    left_eye, right_eye, nose, left_corner, right_corner = landmarks_of({})
    assert left_eye[0] < nose[0] == 200 < right_eye[0]
    assert left_eye[1] == right_eye[1] < nose[1] < left_corner[1] == right_corner[1]
    appearance = random_appearance(np.random.default_rng(0))
    image, landmarks = draw(appearance, FRONTAL, {}, 400)
    for x, y in landmarks[:2].round().astype(int):
        assert image[y, x] < 0.5 * appearance.skin  # the pupil


@pytest.mark.parametrize(("unit", "direction"), [(12, -1), (15, 1), (20, 1)])
def test_corners_of_the_mouth_follow_their_action_unit(unit: int, direction: int) -> None:
    moved = landmarks_of({unit: 1.0})[3:, 1] - landmarks_of({})[3:, 1]
    assert (np.sign(moved) == direction).all()


@pytest.mark.parametrize("unit", sorted({unit for units in ACTION_UNITS.values() for unit in units} - {25}))
def test_every_action_unit_changes_the_image(unit: int) -> None:
    appearance = random_appearance(np.random.default_rng(3))
    rest, active = (draw(appearance, FRONTAL, units, 192)[0].astype(int) for units in ({}, {unit: 1.0}))
    assert (np.abs(active - rest) > 10).sum() > 60


def test_roll_rotates_the_landmarks() -> None:
    appearance = random_appearance(np.random.default_rng(0))
    rotated = draw(appearance, Pose(roll=0.3, yaw=0, scale=0.4, shift_x=0, shift_y=0), {}, 400)[1]
    across = rotated[1] - rotated[0]
    assert np.arctan2(across[1], across[0]) == pytest.approx(0.3, abs=1e-6)


def test_large_images_show_the_same_person() -> None:
    small, large = (draw_face("happy", np.random.default_rng(5), side) for side in (48, 480))
    np.testing.assert_allclose(large[1], small[1] * 10, atol=0.01)
    reduced = cv2.resize(large[0], (48, 48), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(reduced - small[0]).mean() < 8


def test_faces_stay_inside_the_image() -> None:
    for row in range(100):
        landmarks = draw_face("surprise", np.random.default_rng(row))[1]
        assert landmarks.min() > 4
        assert landmarks.max() < 44


def aligned_crop(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    target = np.float32([[11, 9], [21, 9], [16, 23]])
    source = np.float32([landmarks[0], landmarks[1], landmarks[3:].mean(axis=0)])
    crop = cv2.warpAffine(image, cv2.getAffineTransform(source, target), (32, 32)).astype(np.float32)
    return ((crop - crop.mean()) / crop.std()).ravel()


def test_classes_are_separable_but_not_trivially() -> None:
    """Nearest class mean of aligned faces: far above chance (1/7), far from perfect."""
    crops, labels = [], []
    for row in range(560):
        name = FER2013.classes[row % 7]
        crops.append(aligned_crop(*draw_face(name, np.random.default_rng([11, row]))))
        labels.append(row % 7)
    train, test, known, truth = (*np.split(np.array(crops), 2), *np.split(np.array(labels), 2))
    means = np.stack([train[known == label].mean(axis=0) for label in range(7)])
    found = ((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert 0.4 < (found == truth).mean() < 0.9


def test_drawing_is_fast() -> None:
    start = time.process_time()
    list(SyntheticFaces(100, 0, 0))
    assert time.process_time() - start < 2  # about 0.2 s; 1,500 faces take a few seconds
