"""Export to safetensors and Caffe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.exporting.caffe import write_caffe
from fer_lmdb.exporting.export import export
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model


def test_caffe_files_reproduce_the_probabilities(trained, stripes_data, tmp_path):
    files = export(trained.run.path, tmp_path).files
    assert [path.name for path in files] == ["deploy.prototxt", "small_net.caffemodel", "mean.binaryproto"]
    faces = DataSet.open(stripes_data).read("val").images
    net = pl.Net(tmp_path / "deploy.prototxt", tmp_path / "small_net.caffemodel")
    data = (faces - pl.read_mean(tmp_path / "mean.binaryproto"))[..., 3:45, 3:45].astype(np.float32)
    with torch.no_grad():
        (found,) = net(data=torch.from_numpy(data)).values()
    expected = Classifier(load_model(trained.run.path)).probabilities(faces)
    assert np.allclose(found.numpy(), expected, atol=1e-5)


def test_comment_on_the_input_of_deploy_prototxt(trained, tmp_path):
    export(trained.run.path, tmp_path)
    lines = (tmp_path / "deploy.prototxt").read_text().splitlines()
    assert lines[1] == "# Input: a gray face of 48 x 48, values 0-255, after this TEST transform:"
    assert lines[2:4] == ["#   crop_size: 42", '#   mean_file: "mean.binaryproto"']


def test_extension_layers_are_removed(trained, tmp_path):
    model = load_model(trained.run.path)
    start = model.deploy_prototxt.index('layer {\n  name: "conv1"\n')
    bottom = model.deploy_prototxt.index('bottom: "data"', start)
    noisy = replace(model, deploy_prototxt=_with_noise(model.deploy_prototxt, start, bottom))
    assert not pl.is_pure_caffe(pl.parse_net(noisy.deploy_prototxt))
    write_caffe(noisy, tmp_path)
    deploy = pl.read_net(tmp_path / "deploy.prototxt")
    assert pl.is_pure_caffe(deploy)
    assert "n" not in [layer.name for layer in pl.read_net(tmp_path / "small_net.caffemodel").layer]
    net = pl.Net(deploy, tmp_path / "small_net.caffemodel")
    data = torch.randn(3, 1, 42, 42)
    with torch.no_grad():
        torch.testing.assert_close(net(data=data)["prob"], Classifier(model).net(data=data)["prob"])


@pytest.mark.parametrize("name", ["../../ESCAPED", "/tmp/ESCAPED", "..", "a\nb"])
def test_name_of_a_model_does_not_become_a_path(trained, tmp_path, name):
    out = tmp_path / "a" / "b" / "out"
    files = write_caffe(replace(load_model(trained.run.path), name=name), out)
    assert {path.parent for path in files} == {out}
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(path.name for path in files)


def _with_noise(text: str, start: int, bottom: int) -> str:
    noise = (
        'layer { name: "noise" type: "GaussianNoise" bottom: "data" top: "noisy" gaussian_noise_param { std: 9 } }\n'
    )
    return text[:start] + noise + text[start:bottom] + 'bottom: "noisy"' + text[bottom + len('bottom: "data"') :]


def test_other_extensions_are_rejected(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(pl, "extensions", lambda message: ['layer "x": soft_label in LossParameter'], raising=False)
    with pytest.raises(
        ModelError, match=r'small_net uses extensions that Caffe does not support: layer "x".*export it as onnx'
    ):
        write_caffe(load_model(trained.run.path), tmp_path / "caffe")
    assert not (tmp_path / "caffe").exists()


def test_half_precision_file_contains_the_evaluations_of_the_run(trained, stripes_data, tmp_path):
    result = evaluate([trained.run.path], stripes_data, "test")
    export(trained.run, tmp_path / "m.safetensors")
    half = load_model(tmp_path / "m.safetensors")
    assert result.to_dict() in half.metadata.evaluations
    assert half.weights["fc1/0"].dtype == torch.float16
    again = evaluate([tmp_path / "m.safetensors"], stripes_data, "test")
    assert again.accuracy == pytest.approx(result.accuracy, abs=0.04)


def test_unknown_formats(trained, tmp_path):
    with pytest.raises(ModelError, match="caffe, onnx, safetensors"):
        export(trained.run.path, tmp_path, "pickle")
    with pytest.raises(ModelError, match="int8 requires the format onnx, not caffe"):
        export(trained.run.path, tmp_path, "caffe", int8_data="data")
    with pytest.raises(ModelError, match=r'no format for the suffix "\.pt"'):
        export(trained.run.path, tmp_path / "model.pt")


def test_loaded_model(trained, tmp_path):
    result = export(load_model(trained.run.path), tmp_path / "caffe")
    assert result.format == "caffe"
    assert result.to_dict()["files"] == [str(path) for path in result.files]
