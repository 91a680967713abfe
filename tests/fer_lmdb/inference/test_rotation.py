"""Faces in turned images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import OptionError
from fer_lmdb.faces import Face
from fer_lmdb.faces.alignment import quarter_turns
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inference.crops import crop_faces
from fer_lmdb.inference.rotation import detect_rotated, rotate_back


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    from skimage import data

    return data.astronaut()[20:240, 100:340]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_pixels_are_mapped_back(turns: int) -> None:
    image = np.zeros((30, 50), np.uint8)
    image[7, 20] = 255
    y, x = np.argwhere(np.rot90(image, turns))[0]
    points = np.float32([[x, y]])
    face = rotate_back(Face(np.float32([x, y, 4, 6]), 0.9, points), turns, 50, 30)
    assert face.landmarks is not None
    assert face.landmarks.tolist() == [[20, 7]]
    assert sorted(face.box[2:].tolist()) == [4, 6]
    assert 20 in (face.box[0], face.box[0] + face.box[2] - 1)
    assert 7 in (face.box[1], face.box[1] + face.box[3] - 1)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_portrait_gives_the_same_face(trained, portrait: np.ndarray, turns: int) -> None:
    (expected,) = Recognizer(trained.run.path, device="cpu").predict(portrait)
    turned = np.ascontiguousarray(np.rot90(portrait, turns))
    (face,) = Recognizer(trained.run.path, device="cpu", rotate="auto").predict(turned)
    np.testing.assert_allclose(list(face.probabilities.values()), list(expected.probabilities.values()), atol=0.02)
    assert face.box[0] + face.box[2] <= turned.shape[1]
    assert face.box[1] + face.box[3] <= turned.shape[0]


@pytest.mark.parametrize("align", ["box", "both"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_crop_of_a_box_is_rotated(trained, portrait: np.ndarray, turns: int, align: str) -> None:
    (expected,) = Recognizer(trained.run.path, device="cpu", align=align).predict(portrait)
    turned = np.ascontiguousarray(np.rot90(portrait, turns))
    (face,) = Recognizer(trained.run.path, device="cpu", align=align, rotate="auto").predict(turned)
    np.testing.assert_allclose(list(face.probabilities.values()), list(expected.probabilities.values()), atol=0.005)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_pixels_of_a_box_are_rotated(turns: int) -> None:
    """The box is symmetric in the image, so that its crop has the same pixels in every orientation."""
    image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    straight = Face(np.float32([4, 4, 32, 32]), 0.9, np.float32([[12, 14], [28, 14], [20, 20], [14, 30], [26, 30]]))
    settings = Preprocessing(detector="mtcnn", align="box", size=32)
    on_its_side = np.ascontiguousarray(np.rot90(image, -turns))
    face = replace(straight, landmarks=rotate_back(straight, turns, 40, 40).landmarks)
    assert quarter_turns(face.landmarks) == turns
    found = crop_faces([on_its_side], [[face]], settings, rotate=True)
    np.testing.assert_array_equal(found, crop_faces([image], [[straight]], settings))
    unturned = crop_faces([on_its_side], [[face]], settings)
    np.testing.assert_array_equal(np.rot90(unturned[0, 0], turns), found[0, 0])


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (40, 0), (-40, 0), (50, 1), (100, 1), (180, 2), (-50, 3)])
def test_quarter_turns_of_tilted_faces(degrees: float, turns: int) -> None:
    """Degrees clockwise, as seen in the image."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.array([[-8, -8], [8, -8], [0, 0], [-6, 8], [6, 8]]) @ turn.T
    assert quarter_turns(points) == turns


def test_other_orientations_are_tried_only_without_a_sure_face() -> None:
    calls: list[int] = []

    def detect(images: list[np.ndarray]) -> list[list[Face]]:
        calls.append(len(images))
        return [[Face(np.float32([1, 1, 5, 5]), 0.99 if image.mean() > 9 else 0.5)] for image in images]

    bright, dark = np.full((20, 30, 3), 10, np.uint8), np.zeros((20, 30, 3), np.uint8)
    assert [len(faces) for faces in detect_rotated([bright, dark, bright], detect)] == [1, 1, 1]
    assert calls == [3, 1, 1, 1]


def test_a_detector_without_landmarks_is_rejected(trained) -> None:
    with pytest.raises(OptionError, match='rotate "auto" needs landmarks: found the detector "haar"'):
        Recognizer(trained.run.path, detector="haar", rotate="auto")


def group(portrait: np.ndarray) -> np.ndarray:
    """Return a small and a large portrait side by side."""
    import cv2

    small = np.full((440, 240, 3), 90, np.uint8)
    small[:220] = portrait
    return np.concatenate([small, cv2.resize(portrait, (480, 440), interpolation=cv2.INTER_LINEAR)], axis=1)


def test_the_number_of_faces_can_be_limited(trained, portrait: np.ndarray) -> None:
    def boxes(**options: object) -> list[tuple[float, ...]]:
        return [face.box for face in Recognizer(trained.run.path, device="cpu", **options).predict(group(portrait))]

    everyone = boxes()
    assert len(everyone) == 2
    assert boxes(max_faces=1) == everyone[:1]
    assert boxes(max_faces=5) == everyone
    assert boxes(largest=True) == [max(everyone, key=lambda box: box[2] * box[3])]
    assert boxes(largest=True, max_faces=2) == everyone


def test_the_detection_score_can_be_limited(trained, portrait: np.ndarray) -> None:
    (face,) = Recognizer(trained.run.path, device="cpu").predict(portrait)
    assert Recognizer(trained.run.path, device="cpu", detector_threshold=0.99999).predict(portrait) == []
    assert len(Recognizer(trained.run.path, device="cpu", detector_threshold=face.score - 0.01).predict(portrait)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_faces": 0}, "invalid max_faces: found 0"),
        ({"rotate": "90"}, "invalid rotate: found '90', expected one of: none, auto"),
        ({"detector_threshold": float("nan")}, "invalid detector_threshold: found nan"),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Recognizer(**options)
