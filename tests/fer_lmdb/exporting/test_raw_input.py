"""Export of Caffe nets that take the pixels of a cropped face, and the code in their README."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import ModelError, OutputError
from fer_lmdb.exporting.export import export
from fer_lmdb.models.caffe_import import read_caffe_model
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model

FACE = np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)


@pytest.fixture
def model(trained) -> Model:
    return load_model(trained.run.path)


def run(folder: Path, pixels: np.ndarray) -> np.ndarray:
    (weights,) = folder.glob("*.caffemodel")
    with torch.no_grad():
        (found,) = pl.Net(folder / "deploy.prototxt", weights)(torch.from_numpy(pixels.astype(np.float32))).values()
    return found.numpy()


@pytest.mark.parametrize(
    ("transform", "has_mean"),
    [
        ("crop_size: 42", True),
        ("crop_size: 42 scale: 0.00390625", True),
        ("crop_size: 42 mean_value: 100 scale: 0.5", False),
        ("crop_size: 42 per_picture_normalization: true", False),
        ("crop_size: 42", False),
    ],
)
def test_pixels_give_the_probabilities(transform: str, has_mean: bool, model: Model, tmp_path: Path) -> None:
    changed = replace(model, transform_prototxt=transform, mean=model.mean if has_mean else None)
    files = export(changed, tmp_path, raw_input=True).files
    assert [path.name for path in files] == ["deploy.prototxt", "small_net.caffemodel", "README.md"]
    assert pl.is_pure_caffe(pl.read_net(files[0]))
    faces = FACE[None, None]
    expected = Classifier(changed).probabilities(faces)
    np.testing.assert_allclose(run(tmp_path, faces[..., 3:45, 3:45]), expected, atol=1e-5)
    again = read_caffe_model(tmp_path)
    assert again.assumptions == []
    np.testing.assert_allclose(Classifier(again.model).probabilities(faces), expected, atol=1e-5)


@pytest.mark.parametrize("library", ["OpenCV 4", "pycaffe"])
def test_code_in_the_readme(
    library: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export(model, tmp_path, raw_input=True)
    cv2.imwrite(str(tmp_path / "face.png"), FACE)
    if library == "pycaffe":
        from prototxt_like import pycaffe

        monkeypatch.setitem(__import__("sys").modules, "caffe", pycaffe)
    elif not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip("needs OpenCV 4: OpenCV 5 reads no Caffe files")
    text = (tmp_path / "README.md").read_text(encoding="utf-8").split(f"## {library}\n")[1]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)[:1]
    assert len([line for line in code.splitlines() if line]) <= 11
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = {}
    exec(code, values)
    expected = Classifier(model).probabilities(FACE[None, None])[0]
    np.testing.assert_allclose(values["probabilities"], expected, atol=1e-5)
    assert model.scheme.classes[int(expected.argmax())] in capsys.readouterr().out.splitlines()[0]


def test_an_export_replaces_its_own_readme_and_no_other(model: Model, tmp_path: Path) -> None:
    export(model, tmp_path, raw_input=True)
    export(model, tmp_path, raw_input=True)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputError, match="exists and was not written by fer-lmdb"):
        export(model, tmp_path, raw_input=True)


def test_errors(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="raw_input requires the format caffe, not onnx"):
        export(model, tmp_path / "a.onnx", raw_input=True)
    colored = replace(model, transform_prototxt="crop_size: 42 force_gray: true")
    with pytest.raises(ModelError, match="converts between gray and color, for which Caffe has no layer"):
        export(colored, tmp_path, raw_input=True)
