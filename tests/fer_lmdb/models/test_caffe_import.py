"""Models from Caffe's files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import fer_lmdb as fer
import prototxt_like as pl
from fer_lmdb.cli import cli
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.exporting.export import export
from fer_lmdb.models.caffe_import import CaffeOptions, import_caffe, read_caffe_model
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model

NET = """
name: "{name}"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 2 dim: {channels} dim: 8 dim: 8 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "caffe")


def write(folder: Path, channels: int = 1, text: str = NET) -> Path:
    folder.mkdir()
    torch.manual_seed(1)
    (folder / "deploy.prototxt").write_text(text.format(name="mine", channels=channels))
    pl.save_weights(pl.Net(folder / "deploy.prototxt"), folder / "weights.caffemodel")
    return folder


def faces(channels: int = 1, side: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, channels, side, side), np.uint8)


def run(folder: Path, data: np.ndarray) -> np.ndarray:
    net = pl.Net(folder / "deploy.prototxt", folder / "weights.caffemodel")
    with torch.no_grad():
        return net(data=torch.from_numpy(data.astype(np.float32)))["prob"].numpy()


def test_a_folder_is_a_model(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = load_model(folder)
    np.testing.assert_allclose(Classifier(model).probabilities(faces()), run(folder, faces()), atol=1e-6)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "assumed mean: none is subtracted",
        "assumed scale: values are 0 to 255",
        "assumed labels: class 0 to class 2",
        "assumed channel order: gray",
        "assumed faces: detector mtcnn, align landmarks, template fer2013, margin 0.0",
    ]
    assert model.preprocessing.size == 8


def test_an_export_comes_back_without_assumptions(trained, stripes_data, tmp_path: Path) -> None:
    export(trained.run.path, tmp_path / "caffe")
    result = read_caffe_model(tmp_path / "caffe")
    assert result.assumptions == []
    original = load_model(trained.run.path)
    assert (result.model.scheme.classes, result.model.preprocessing) == (
        original.scheme.classes,
        original.preprocessing,
    )
    images = DataSet.open(stripes_data).read("val").images
    np.testing.assert_allclose(
        Classifier(result.model).probabilities(images), Classifier(original).probabilities(images), atol=1e-5
    )


def test_everything_that_the_files_do_not_contain(tmp_path: Path) -> None:
    folder = write(tmp_path / "caffe", channels=3)
    options = CaffeOptions(
        labels="glad, sad, angry", mean="1,2,3", scale=0.5, channel_order="rgb", resize=10, crop=8, output="fc",
        detector="none", align="box", template="arcface", margin=0.1,
    )  # fmt: skip
    result = import_caffe(folder, tmp_path / "mine.safetensors", options=options)
    assert result.assumptions == ["output: fc is not a Softmax, so one is added"]
    model = load_model(tmp_path / "mine.safetensors")
    settings = model.preprocessing
    assert model.scheme.classes == ("glad", "sad", "angry")
    assert (settings.size, settings.channel_order, settings.detector) == (10, "rgb", "none")
    assert (settings.align, settings.template, settings.margin) == ("box", "arcface", 0.1)
    data = faces(3, 10)
    cropped = (data[..., 1:9, 1:9] - np.array([1, 2, 3]).reshape(3, 1, 1)) * 0.5
    np.testing.assert_allclose(Classifier(model).probabilities(data), run(folder, cropped), atol=1e-6)


def test_a_mean_image_in_the_folder(folder: Path) -> None:
    mean = np.random.default_rng(2).uniform(0, 255, (1, 12, 12)).astype(np.float32)
    pl.write_mean(mean, folder / "mean.binaryproto")
    result = read_caffe_model(folder)
    assert not any("mean" in line for line in result.assumptions)
    data = faces(1, 12)
    expected = run(folder, (data - mean)[..., 2:10, 2:10])
    np.testing.assert_allclose(Classifier(result.model).probabilities(data), expected, atol=1e-6)


def test_layers_that_do_not_fit_are_listed(folder: Path) -> None:
    weights = pl.read_net(folder / "weights.caffemodel")
    next(layer for layer in weights.layer if layer.name == "fc").name = "fc8"
    pl.write_binary(weights, folder / "weights.caffemodel")
    assert read_caffe_model(folder).notes == [
        "not in the weights, so initialized by its fillers: fc",
        "only in the weights, so ignored: fc8",
    ]
    for layer in weights.layer:
        layer.name = f"other_{layer.name}"
    pl.write_binary(weights, folder / "weights.caffemodel")
    with pytest.raises(pl.WeightsError, match="no layer of the weights fits the net"):
        read_caffe_model(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CaffeOptions(labels="a, b"), "found 2 labels, expected 3"),
        (CaffeOptions(output="fcc"), 'the net has no blob "fcc"; did you mean "fc"'),
        (CaffeOptions(output="conv"), 'output "conv" has the shape 2 x 4 x 6 x 6, expected N x classes'),
        (CaffeOptions(crop=7), "invalid crop: found 7, expected 8"),
        (CaffeOptions(resize=7), "invalid resize: found 7, expected at least 8"),
        (CaffeOptions(mean="1,2"), "found 2 mean values, expected 1 or 1"),
        (CaffeOptions(channel_order="bgr"), "invalid channel order: found bgr, but the net has 1 input channels"),
    ],
)
def test_options_that_do_not_fit(options: CaffeOptions, message: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=message):
        read_caffe_model(folder, options=options)


def test_missing_and_ambiguous_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found no weights, expected a folder with both files, or --caffemodel"):
        read_caffe_model(folder / "deploy.prototxt")
    (folder / "more.caffemodel").write_bytes((folder / "weights.caffemodel").read_bytes())
    with pytest.raises(ModelError, match=r"found more.caffemodel, weights.caffemodel, expected one caffemodel"):
        read_caffe_model(folder)
    result = read_caffe_model(folder, folder / "more.caffemodel")
    assert result.model.name == "mine"
    with pytest.raises(ModelError, match="the suffix"):
        import_caffe(folder, tmp_path / "a.onnx")


def test_a_train_net_is_not_a_deploy_net(folder: Path) -> None:
    loss = 'layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
    path = folder / "deploy.prototxt"
    path.write_text(path.read_text() + loss + 'layer { name: "s" type: "Silence" bottom: "label" }')
    with pytest.raises(ModelError, match="found inputs data, label, expected one; use the deploy prototxt"):
        read_caffe_model(folder)


def test_command(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    words = ["import", str(folder / "deploy.prototxt"), "--caffemodel", str(folder / "weights.caffemodel")]
    result = CliRunner().invoke(cli, [*words, "--labels", "a,b,c", "--detector", "none", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Assumed: mean: none is subtracted" in result.stderr
    assert str(out) in result.stdout
    assert fer.load_model(out).classes == ("a", "b", "c")


def test_a_scheme_as_labels(tmp_path: Path) -> None:
    folder = write(tmp_path / "caffe", text=NET.replace("num_output: 3", "num_output: 7"))
    words = ["import", str(folder), "--labels", "fer2013", "--out", str(tmp_path / "a.safetensors")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "a.safetensors").scheme.name == "fer2013"


def test_a_command_with_two_files(folder: Path, tmp_path: Path) -> None:
    words = ["export", str(folder / "deploy.prototxt"), "--caffemodel", str(folder / "weights.caffemodel")]
    out = tmp_path / "mine.safetensors"
    result = CliRunner().invoke(cli, [*words, "--labels", "a,b,c", "--scale", "0.5", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Assumed: mean: none is subtracted" in result.stderr
    model = load_model(out)
    np.testing.assert_allclose(Classifier(model).probabilities(faces()), run(folder, faces() * 0.5), atol=1e-3)
    result = CliRunner().invoke(cli, ["export", "fer_mini", "--scale", "0.5", "--out", str(tmp_path / "b.safetensors")])
    assert result.exit_code == 2
    assert "require one MODEL: a prototxt with --caffemodel, or a folder" in result.stderr
