"""MTCNN, compared with the original's detections, and on unusual images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces import Face, get_detector
from fer_lmdb.faces.detectors.mtcnn import Mtcnn
from fer_lmdb.faces.detectors.mtcnn.pyramid import levels

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


@pytest.fixture(scope="module")
def mtcnn() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


def same_faces(found: list[Face], expected: list[dict]) -> bool:
    """Return whether both have the same faces: boxes and landmarks within 2 px, scores within 0.01."""
    if len(found) != len(expected):
        return False
    for face, other in zip(found, expected, strict=True):
        landmarks = [other["keypoints"][name] for name in LANDMARKS]
        near = np.abs(face.box - other["box"]).max() <= 2 and np.abs(face.landmarks - landmarks).max() <= 2
        if not near or abs(face.score - other["confidence"]) > 0.01:
            return False
    return True


def golden_images(shared: Path, names: list[str]) -> list[np.ndarray]:
    strips: dict[int, np.ndarray] = {}
    images = []
    for name in names:
        if name == "astronaut":
            images.append(skimage.data.astronaut())
        elif name == "group":
            images.append(cv2.cvtColor(cv2.imread(str(shared / "photos/group.jpg")), cv2.COLOR_BGR2RGB))
        else:
            strip, row = divmod(int(name.rsplit("_", 1)[1]), 300)
            if strip not in strips:
                path = shared / f"fer2013/pixels/{strip:03d}.webp"
                strips[strip] = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).reshape(-1, 48, 48)
            images.append(np.repeat(strips[strip][row][:, :, None], 3, axis=2))
    return images


def test_detections_equal_the_original(shared: Path, mtcnn: Mtcnn) -> None:
    golden = json.loads((shared / "golden/mtcnn/detections.json").read_text())
    found = mtcnn.detect(golden_images(shared, list(golden)))
    different = [name for name, faces in zip(golden, found, strict=True) if not same_faces(faces, golden[name])]
    assert len(golden) == 202
    assert len(different) <= 0.01 * len(golden), different


def test_the_astronaut_equals_the_original(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    (face,) = mtcnn.detect([astronaut])[0]
    np.testing.assert_allclose(face.box, [182, 64, 83, 107], atol=1)
    np.testing.assert_allclose(face.landmarks, [[204, 100], [245, 102], [224, 126], [202, 139], [244, 140]], atol=1)
    assert abs(face.score - 0.99912065) < 1e-4
    assert face.box.dtype == face.landmarks.dtype == np.float32


def test_results_do_not_depend_on_the_batch(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    images = [astronaut, astronaut[:, ::-1], astronaut[40:240, 100:301], np.zeros_like(astronaut)]
    together = mtcnn.detect(images)
    for image, faces in zip(images, together, strict=True):
        (single,) = mtcnn.detect([image])
        assert len(single) == len(faces)
        for one, other in zip(single, faces, strict=True):
            np.testing.assert_allclose(one.box, other.box, atol=0.01)
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.01)
    assert [len(faces) for faces in together] == [1, 1, 1, 0]


def test_gray_and_alpha_images_are_accepted(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    gray = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    alpha = np.dstack([astronaut, np.zeros(astronaut.shape[:2], np.uint8)])
    assert [len(faces) for faces in mtcnn.detect([gray, gray[:, :, None], alpha])] == [1, 1, 1]


def test_min_face_excludes_smaller_faces(astronaut: np.ndarray) -> None:
    assert len(get_detector("mtcnn", min_face=60).detect([astronaut])[0]) == 1
    assert get_detector("mtcnn", min_face=400).detect([astronaut]) == [[]]


def test_threshold_excludes_lower_scores(astronaut: np.ndarray) -> None:
    assert get_detector("mtcnn", threshold=0.9999).detect([astronaut]) == [[]]


def test_faces_are_sorted_by_score(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    crowd = np.tile(astronaut[40:200, 150:300], (3, 4, 1))
    scores = [face.score for face in mtcnn.detect([crowd])[0]]
    assert len(scores) >= 12
    assert scores == sorted(scores, reverse=True)


def test_two_hundred_faces_in_one_image(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    face = cv2.resize(astronaut[50:190, 160:300], (60, 60), interpolation=cv2.INTER_AREA)
    assert len(mtcnn.detect([np.tile(face, (14, 15, 1))])[0]) >= 200


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (11, 11), (12, 12), (13, 40)])
def test_tiny_images_have_no_faces(mtcnn: Mtcnn, shape: tuple[int, int]) -> None:
    assert mtcnn.detect([np.zeros((*shape, 3), np.uint8)]) == [[]]


def test_images_without_faces(mtcnn: Mtcnn) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 160, 3), np.uint8)
    assert mtcnn.detect([noise, np.zeros_like(noise), np.full_like(noise, 255)]) == [[], [], []]
    assert mtcnn.detect([]) == []


def test_a_face_cut_by_the_border_stays_inside_the_image(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    (face,) = mtcnn.detect([astronaut[60:300, 200:420]])[0]
    x, y, width, height = face.box
    assert x >= 0
    assert y >= 0
    assert x + width <= 220
    assert y + height <= 240


def test_an_upside_down_image_is_accepted(mtcnn: Mtcnn, astronaut: np.ndarray) -> None:
    assert isinstance(mtcnn.detect([astronaut[::-1]])[0], list)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 2), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), "face.jpg", None]
)
def test_invalid_images_are_rejected(mtcnn: Mtcnn, image: object) -> None:
    with pytest.raises(DetectorError, match=r"image 1 .*RGB"):
        mtcnn.detect([np.zeros((8, 8, 3), np.uint8), image])


def test_tiles_of_a_large_image_give_the_same_result(
    mtcnn: Mtcnn, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (untiled,) = mtcnn.detect([astronaut])
    monkeypatch.setattr("fer_lmdb.faces.detectors.mtcnn.pyramid.PIXELS_AT_ONCE", 5000)
    monkeypatch.setattr("fer_lmdb.faces.detectors.mtcnn.pyramid.FLOATS_AT_ONCE", 10000)
    monkeypatch.setattr("fer_lmdb.faces.detectors.mtcnn.boxes.PAIRS_AT_ONCE", 50)
    (tiled,) = mtcnn.detect([astronaut])
    assert len(untiled) == len(tiled) == 1
    np.testing.assert_allclose(tiled[0].box, untiled[0].box, atol=1e-3)
    np.testing.assert_allclose(tiled[0].landmarks, untiled[0].landmarks, atol=1e-3)


MEMORY_PROBE = """
import resource
import numpy as np
from fer_lmdb.faces import get_detector

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

detector = get_detector("mtcnn")
detector.detect([np.zeros((48, 48, 3), np.uint8)])
generator = np.random.default_rng(0)
large = generator.integers(0, 256, (3000, 4000, 3), np.uint8)
many = list(generator.integers(0, 256, (3000, 48, 48, 3), np.uint8))
before = peak_mb()
detector.detect([large])
detector.detect(many)
print(peak_mb() - before)
"""


def test_memory_is_bounded_for_large_and_for_many_images() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY_PROBE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 400  # MB; the large image as float32 at every level would take 700


def test_levels_equal_the_original_and_contain_its_window() -> None:
    assert [(level.height, level.width) for level in levels(48, 48, 20)] == [(28, 28), (20, 20), (14, 14)]
    for side in (48, 100, 333, 720, 5000):
        for min_face in (12, 20, 40, 60, 100):
            assert all(min(level.height, level.width) >= 12 for level in levels(side, side * 2, min_face))
