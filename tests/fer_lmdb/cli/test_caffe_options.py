"""--caffemodel and its options in `watch`, `serve` and `calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import prototxt_like as pl
from fer_lmdb.cli import cli
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.evaluation.calibrate import calibrate
from fer_lmdb.exporting.export import export
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 48 dim: 48 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 7
  weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with a deploy prototxt and a caffemodel."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    torch.manual_seed(1)
    (folder / "deploy.prototxt").write_text(NET)
    pl.save_weights(pl.Net(folder / "deploy.prototxt"), folder / "weights.caffemodel")
    return folder


@pytest.fixture
def files(folder: Path) -> list[str]:
    """Words that name the two files and what they do not contain."""
    weights = str(folder / "weights.caffemodel")
    return [str(folder / "deploy.prototxt"), "--caffemodel", weights, "--labels", "fer2013", "--scale", "0.01"]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)])


def probabilities(folder: Path, images: np.ndarray, temperature: float = 1) -> np.ndarray:
    """Return those of the net itself, for values times 0.01."""
    net = pl.Net(folder / "deploy.prototxt", folder / "weights.caffemodel")
    with torch.no_grad():
        scores = net.blobs(data=torch.from_numpy(images.astype(np.float32) * 0.01))["fc"]
    return (scores / temperature).softmax(1).numpy()


def test_watch(files: list[str], folder: Path, tmp_path: Path) -> None:
    from fer_lmdb.io.video_writer import VideoWriter

    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip) as video:
        for index in range(2):
            video.add(np.full((96, 96, 3), 128, np.uint8), index / 25)
    common = ["watch", clip, "--no-window", "--json", "--detector", "none", "--device", "cpu", "--model"]
    result = run(*common, *files)
    assert result.exit_code == 0, result.output
    assert "Assumed: mean: none is subtracted" in result.stderr
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(documents) == 2
    gray = np.full((1, 1, 48, 48), 128, np.uint8)
    for document in documents:
        found = list(document["faces"][0]["probabilities"].values())
        np.testing.assert_allclose(found, probabilities(folder, gray)[0], atol=0.02)  # the codec changes a gray value
    result = run(*common[:-1], "--model", "fer_mini", "--scale", "0.5")
    assert result.exit_code == 2
    assert "require one MODEL: a prototxt with --caffemodel, or a folder" in result.stderr


def test_serve(files: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fastapi", "fastapi_offline", "gradio", "uvicorn"):
        pytest.importorskip(name)
    from fer_lmdb.serve import server

    served: list[Model] = []
    monkeypatch.setattr(server, "serve", lambda settings, _: served.extend(map(load_model, settings.models)))
    monkeypatch.setattr(server, "log_to_stderr", lambda _: None)
    result = run("serve", "--model", *files)
    assert result.exit_code == 0, result.output
    assert "Assumed: mean: none is subtracted" in result.stderr
    (model,) = served
    images = np.random.default_rng(1).integers(0, 256, (3, 1, 48, 48), np.uint8)
    np.testing.assert_allclose(Classifier(model).probabilities(images), probabilities(folder, images), atol=1e-3)


def test_calibrate(files: list[str], folder: Path, stripes_data: Path, tmp_path: Path) -> None:
    common = ["--data", stripes_data, "--device", "cpu"]
    result = run("calibrate", *files, *common)
    assert result.exit_code == 2
    assert "options about Caffe's files require --out" in result.stderr
    out = tmp_path / "mine.safetensors"
    result = run("calibrate", *files, *common, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    model = load_model(out)
    assert document["temperature"] == model.metadata.temperature != 1
    images = DataSet.open(stripes_data).read("val").images
    found = Classifier(model).probabilities(images)
    np.testing.assert_allclose(found, probabilities(folder, images), atol=1e-3)


def test_calibrate_a_folder(trained, stripes_data: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "exported", tmp_path / "mine.safetensors"
    export(trained.run.path, folder)
    common = ["calibrate", folder, "--data", stripes_data, "--device", "cpu"]
    result = run(*common)
    assert result.exit_code == 1
    assert f"{folder} has Caffe's files, which hold no temperature; set --out to write a model file" in result.stderr
    result = run(*common, "--out", out)
    assert result.exit_code == 0, result.output
    expected = calibrate(trained.run.best, stripes_data, out=tmp_path / "other.safetensors", device="cpu").temperature
    assert load_model(out).metadata.temperature == pytest.approx(expected, rel=1e-3)
