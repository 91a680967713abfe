"""Expressions of images, with a trained model and the real detector."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb import Recognizer
from fer_lmdb.errors import DetectorError, ImageError, ModelError, OptionError
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013, FERPLUS
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model


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


def test_a_file_has_the_same_result_as_its_pixels(recognizer: Recognizer, portrait: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "p.png", portrait)
    assert recognizer.predict(tmp_path / "p.png") == recognizer.predict(portrait)
    assert recognizer.predict(str(tmp_path / "p.png")) == recognizer.predict(portrait)


def test_many_images_have_the_same_results_as_single_ones(recognizer: Recognizer, portrait: np.ndarray) -> None:
    images = [portrait, np.zeros((60, 70, 3), np.uint8), portrait[:, ::-1], portrait[:, :, 1]]
    together = recognizer.predict_many(images)
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for image, faces in zip(images, together, strict=True):
        for face, alone in zip(faces, recognizer.predict(image), strict=True):
            np.testing.assert_allclose(face.box, alone.box, atol=0.01)
            np.testing.assert_allclose(list(face.probabilities.values()), list(alone.probabilities.values()), atol=1e-3)
    assert recognizer.predict_many([]) == []


def test_an_image_without_faces_is_an_empty_list(recognizer: Recognizer) -> None:
    assert recognizer.predict(np.full((100, 100, 3), 200, np.uint8)) == []


def test_without_a_detector_the_image_is_the_face(trained, stripes_data: Path) -> None:
    from fer_lmdb.data.dataset import DataSet

    faces = DataSet.open(stripes_data).read("val")
    recognizer = Recognizer(trained.run.path, detector="none", device="cpu")
    expected = Classifier(load_model(trained.run.path)).probabilities(faces.images)
    for image, row in zip(faces.images[:5, 0], expected, strict=False):
        (face,) = recognizer.predict(image)
        assert face.box == (0, 0, 48, 48)
        assert face.landmarks is None
        np.testing.assert_allclose(list(face.probabilities.values()), row, atol=1e-4)


def test_a_face_below_min_probability_is_uncertain(trained, portrait: np.ndarray) -> None:
    (face,) = Recognizer(trained.run.path, min_probability=1.0, device="cpu").predict(portrait)
    assert face.expression == "uncertain"
    assert face.best in FER2013.classes


@pytest.fixture(scope="module")
def ensemble(trained, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The trained model and one with other weights."""
    import torch

    path = tmp_path_factory.mktemp("ensemble") / "other.safetensors"
    model = load_model(trained.run.path)
    for weight in model.weights.values():
        weight.copy_(torch.roll(weight, 1, 0))
    model.save(path)
    return [trained.run.path, path]


def probabilities(image: np.ndarray, model: Path | list[Path], **options: object) -> list[float]:
    (face,) = Recognizer(model, device="cpu", **options).predict(image)
    return list(face.probabilities.values())


def test_an_ensemble_averages(ensemble: list[Path], portrait: np.ndarray) -> None:
    one, other, both = (probabilities(portrait, model) for model in (*ensemble, ensemble))
    assert not np.allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(both, np.add(one, other) / 2, atol=1e-5)


def test_an_ensemble_averages_with_weights(ensemble: list[Path], portrait: np.ndarray) -> None:
    one, other = (probabilities(portrait, model) for model in ensemble)
    weighted = probabilities(portrait, ensemble, ensemble_weights=[3, 1])
    np.testing.assert_allclose(weighted, np.average([one, other], axis=0, weights=[3, 1]), atol=1e-5)
    assert probabilities(portrait, ensemble, ensemble_weights=(1, 0)) == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [0, 0], [1, -1], [float("nan"), 1]])
def test_weights_that_do_not_fit_the_models(ensemble: list[Path], weights: list[float]) -> None:
    with pytest.raises(ModelError, match="2 numbers"):
        Recognizer(ensemble, ensemble_weights=weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_probability": 2}, "invalid min_probability: found 2, expected a number from 0 to 1"),
        ({"min_probability": float("nan")}, "invalid min_probability: found nan"),
        ({"tta": 3}, "invalid tta: found 3, expected one of: 1, 2, 4, 10"),
        ({"min_face": 0.01}, "invalid min_face: found 0.01, expected a number from 1 to 1000000"),
        ({"min_face": float("nan")}, "invalid min_face: found nan"),
        ({"color": "hsv"}, 'invalid color: found "hsv", expected "rgb" or "bgr"'),
    ],
)
def test_options_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Recognizer(**options)
    with pytest.raises(ValueError, match=message):
        Recognizer(**options)


@pytest.mark.parametrize("image", [None, 5, [[1, 2], [3, 4]], object(), [None]])
def test_inputs_that_are_no_images(recognizer: Recognizer, image: object) -> None:
    found = r"found (NoneType|int|list|object), expected a path, bytes, a binary file, a Pillow image or a uint8 array"
    with pytest.raises(TypeError, match=found):
        recognizer.predict(image)


def test_a_portrait_in_all_forms(recognizer: Recognizer, portrait: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "p.png", portrait)
    expected, data = recognizer.predict(portrait), (tmp_path / "p.png").read_bytes()
    for form in (data, bytearray(data), memoryview(data), BytesIO(data), Image.open(BytesIO(data))):
        assert recognizer.predict(form) == expected
    with (tmp_path / "p.png").open("rb") as file:
        together = recognizer.predict([tmp_path / "p.png", file, portrait, data])
    assert together == recognizer.predict_many([portrait] * 4)
    assert recognizer.predict([]) == []
    with (tmp_path / "p.png").open(encoding="latin-1") as file, pytest.raises(TypeError, match="in text mode"):
        recognizer.predict(file)
    with pytest.raises(ImageError, match="image: is not an image"):
        recognizer.predict(b"bytes")


@pytest.mark.parametrize(
    "images", [np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50), np.uint8), None, "photo.jpg", b"x", BytesIO()]
)
def test_a_single_image_is_not_a_sequence(recognizer: Recognizer, images: object) -> None:
    with pytest.raises(TypeError, match=r"predict_many expects a sequence of image"):
        recognizer.predict_many(images)


def test_a_recognizer_is_callable(recognizer: Recognizer, portrait: np.ndarray) -> None:
    assert recognizer(portrait) == recognizer.predict(portrait)


def test_bgr_arrays(recognizer: Recognizer, trained, portrait: np.ndarray, tmp_path: Path) -> None:
    expected, bgr = recognizer.predict(portrait), portrait[:, :, ::-1]
    of_bgr = Recognizer(trained.run.path, device="cpu", color="bgr")
    assert recognizer.predict(bgr, color="bgr") == expected
    assert of_bgr(bgr) == of_bgr(portrait, color="rgb") == expected
    assert recognizer.predict_many([bgr, bgr], color="bgr") == recognizer.predict_many([portrait, portrait])
    write_image(tmp_path / "p.png", portrait)
    assert of_bgr(tmp_path / "p.png") == expected  # files do not depend on it
    with pytest.raises(OptionError, match="invalid color"):
        recognizer.predict(portrait, color="gbr")


def test_read_only_arrays_cause_no_warning(recognizer: Recognizer, portrait: np.ndarray) -> None:
    image = np.ascontiguousarray(portrait)
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recognizer.predict(image) == recognizer.predict(portrait)


def test_views_are_averaged(trained, portrait: np.ndarray) -> None:
    single, ten = (Recognizer(trained.run.path, tta=tta, device="cpu").predict(portrait)[0] for tta in (1, 10))
    assert single.box == ten.box
    assert single.probabilities != ten.probabilities


def test_models_with_different_classes_cannot_form_an_ensemble(trained, tmp_path: Path) -> None:
    from dataclasses import replace

    replace(load_model(trained.run.path), scheme=FERPLUS).save(tmp_path / "plus.safetensors")
    with pytest.raises(ModelError, match="cannot be averaged: "):
        Recognizer([trained.run.path, tmp_path / "plus.safetensors"])


def test_a_diverged_model_is_named(trained, tmp_path: Path, portrait) -> None:
    from dataclasses import replace

    model = load_model(trained.run.path)
    weights = {name: blob * float("nan") for name, blob in model.weights.items()}
    replace(model, weights=weights).save(tmp_path / "nan.safetensors")
    with pytest.raises(ModelError, match=r"nan.safetensors returns NaN for 1 of 1 faces"):
        Recognizer([trained.run.path, tmp_path / "nan.safetensors"], device="cpu").predict(portrait)


def test_missing_models_and_detectors(trained) -> None:
    with pytest.raises(ModelError, match='no model "nothing"'):
        Recognizer("nothing")
    with pytest.raises(ModelError, match="no model given; pass at least one"):
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
def test_unsupported_arrays(recognizer: Recognizer, array: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"expected uint8 \(H, W, 3\) in color"):
        recognizer.predict(array)


def test_the_same_face_is_detected_in_a_large_image(recognizer: Recognizer, portrait: np.ndarray) -> None:
    import cv2

    large = cv2.resize(portrait, (2000, 2000), interpolation=cv2.INTER_LINEAR)
    (face,) = recognizer.predict(large)
    small = recognizer.predict(portrait)[0]
    np.testing.assert_allclose(np.array(face.box) / 10, small.box, atol=12)


def test_importing_the_package_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ["torch", "cv2", "numpy", "PIL"]
    code = f"import sys, fer_lmdb; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_prediction_imports_only_what_it_needs() -> None:
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
