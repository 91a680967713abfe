"""From a picture to expressions, with a trained model and the real detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import DetectorError, ImageError, ModelError
from fer_lmdb.inference.recognizer import quantized_min_face
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013, FERPLUS
from fer_lmdb.models import model as models
from fer_lmdb.models.classifier import Classifier


@pytest.fixture(scope="module")
def recognizer(trained) -> Recognizer:
    return Recognizer(trained.run.path, device="cpu")


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    from skimage import data

    return data.astronaut()[20:220, 120:320]


def test_a_portrait_has_one_face(recognizer: Recognizer, portrait: np.ndarray) -> None:
    (face,) = recognizer.predict(portrait)
    x, y, width, height = face.box
    assert 40 < x < 80
    assert 20 < y < 70
    assert 60 < width < 110
    assert 80 < height < 130
    assert face.score > 0.9
    assert face.landmarks is not None
    assert len(face.landmarks) == 5
    assert tuple(face.probabilities) == FER2013.classes
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert face.expression == face.best == max(face.probabilities, key=face.probabilities.__getitem__)


def test_a_file_gives_the_same_as_its_pixels(recognizer: Recognizer, portrait: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "p.png", portrait)
    assert recognizer.predict(tmp_path / "p.png") == recognizer.predict(portrait)
    assert recognizer.predict(str(tmp_path / "p.png")) == recognizer.predict(portrait)


def test_many_images_give_the_same_as_each(recognizer: Recognizer, portrait: np.ndarray) -> None:
    images = [portrait, np.zeros((60, 70, 3), np.uint8), portrait[:, ::-1], portrait[:, :, 1]]
    together = recognizer.predict_many(images)
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for image, faces in zip(images, together, strict=True):
        for face, alone in zip(faces, recognizer.predict(image), strict=True):
            np.testing.assert_allclose(face.box, alone.box, atol=0.01)
            np.testing.assert_allclose(list(face.probabilities.values()), list(alone.probabilities.values()), atol=1e-3)
    assert recognizer.predict_many([]) == []


def test_no_face_is_a_result(recognizer: Recognizer) -> None:
    assert recognizer.predict(np.full((100, 100, 3), 200, np.uint8)) == []


def test_without_a_detector_the_image_is_the_face(trained, stripes_data: Path) -> None:
    from fer_lmdb.data.dataset import DataSet

    faces = DataSet.open(stripes_data).read("val")
    recognizer = Recognizer(trained.run.path, detector="none", device="cpu")
    expected = Classifier(models.load_model(trained.run.path)).probabilities(faces.images)
    for image, row in zip(faces.images[:5, 0], expected, strict=False):
        (face,) = recognizer.predict(image)
        assert face.box == (0, 0, 48, 48)
        assert face.landmarks is None
        np.testing.assert_allclose(list(face.probabilities.values()), row, atol=1e-4)


def test_an_unsure_face_is_called_uncertain(trained, portrait: np.ndarray) -> None:
    (face,) = Recognizer(trained.run.path, min_probability=1.0, device="cpu").predict(portrait)
    assert face.expression == "uncertain"
    assert face.best in FER2013.classes


def test_an_ensemble_averages(trained, portrait: np.ndarray, tmp_path: Path) -> None:
    import torch

    model = models.load_model(trained.run.path)
    for weight in model.weights.values():
        weight.copy_(torch.roll(weight, 1, 0))
    model.save(tmp_path / "other.safetensors")
    names = [trained.run.path, tmp_path / "other.safetensors"]
    one, other, both = (
        list(Recognizer(name, device="cpu").predict(portrait)[0].probabilities.values()) for name in (*names, names)
    )
    assert not np.allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(both, np.add(one, other) / 2, atol=1e-5)


def test_views_are_averaged(trained, portrait: np.ndarray) -> None:
    single, ten = (Recognizer(trained.run.path, tta=tta, device="cpu").predict(portrait)[0] for tta in (1, 10))
    assert single.box == ten.box
    assert single.probabilities != ten.probabilities


def test_models_of_different_classes_are_no_ensemble(trained, tmp_path: Path) -> None:
    from dataclasses import replace

    replace(models.load_model(trained.run.path), scheme=FERPLUS).save(tmp_path / "plus.safetensors")
    with pytest.raises(ModelError, match="cannot be averaged: "):
        Recognizer([trained.run.path, tmp_path / "plus.safetensors"])


def test_a_model_that_has_diverged_is_named(trained, tmp_path: Path, portrait) -> None:
    from dataclasses import replace

    model = models.load_model(trained.run.path)
    weights = {name: blob * float("nan") for name, blob in model.weights.items()}
    replace(model, weights=weights).save(tmp_path / "nan.safetensors")
    with pytest.raises(ModelError, match=r"nan.safetensors gives nan for 1 of 1 faces"):
        Recognizer([trained.run.path, tmp_path / "nan.safetensors"], device="cpu").predict(portrait)


def test_what_does_not_exist(trained) -> None:
    with pytest.raises(ModelError, match='no model "nothing"'):
        Recognizer("nothing")
    with pytest.raises(ModelError, match="no model is named; name at least one"):
        Recognizer([])
    with pytest.raises(DetectorError, match='unknown detector "eyes"'):
        Recognizer(trained.run.path, detector="eyes")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(5, np.uint8),
    ],
)
def test_arrays_that_are_no_image(recognizer: Recognizer, array: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"expected uint8 \(H, W, 3\) in color"):
        recognizer.predict(array)


def test_the_smallest_face_grows_with_the_image_in_steps() -> None:
    assert quantized_min_face(16, 20) == 20
    assert quantized_min_face(1.5, 20) == 20
    assert quantized_min_face(30, 20) == pytest.approx(28.28, abs=0.01)
    assert quantized_min_face(125, 20) == pytest.approx(113.1, abs=0.1)
    assert quantized_min_face(22, 40) == 40


def test_a_large_image_finds_the_same_face(recognizer: Recognizer, portrait: np.ndarray) -> None:
    import cv2

    large = cv2.resize(portrait, (2000, 2000), interpolation=cv2.INTER_LINEAR)
    (face,) = recognizer.predict(large)
    small = recognizer.predict(portrait)[0]
    np.testing.assert_allclose(np.array(face.box) / 10, small.box, atol=12)


def test_importing_the_package_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ["torch", "cv2", "numpy", "PIL"]
    code = f"import sys, fer_lmdb; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_predicting_loads_nothing_that_it_does_not_need() -> None:
    import subprocess
    import sys

    unneeded = [
        "matplotlib",
        "skimage",
        "torchmetrics",
        "tensorboard",
        "scipy",
        "torch._dynamo",
        "sympy",
        "pandas",
        "lmdb",
    ]
    code = (
        "import sys; from fer_lmdb import Recognizer;"
        "import fer_lmdb.inference.files, fer_lmdb.cli.render_predictions;"
        f"print([name for name in {unneeded} if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
