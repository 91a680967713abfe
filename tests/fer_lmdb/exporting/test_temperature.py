"""Exports of a calibrated model: the temperature is folded into the last layer's weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.exporting.export import export
from fer_lmdb.exporting.temperature import fold_temperature
from fer_lmdb.models.calibration import apply_temperature
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model


@pytest.fixture
def calibrated(trained) -> Model:
    model = load_model(trained.run.path)
    return replace(model, metadata=model.metadata.with_calibration({"temperature": 0.6}))


@pytest.fixture
def faces(stripes_data) -> np.ndarray:
    return DataSet.open(stripes_data).read("val").images


def caffe_probabilities(folder, faces) -> np.ndarray:
    net = pl.Net(folder / "deploy.prototxt", folder / "small_net.caffemodel")
    data = (faces - pl.read_mean(folder / "mean.binaryproto"))[..., 3:45, 3:45].astype(np.float32)
    with torch.no_grad():
        (found,) = net(data=torch.from_numpy(data)).values()
    return found.numpy()


def test_caffe_files_return_calibrated_probabilities(calibrated, faces, tmp_path) -> None:
    as_trained = Classifier(calibrated).probabilities(faces)
    export(calibrated, tmp_path / "folded")
    expected = apply_temperature(as_trained, 0.6)
    np.testing.assert_allclose(caffe_probabilities(tmp_path / "folded", faces), expected, atol=1e-5)
    export(calibrated, tmp_path / "plain", calibrated=False)
    np.testing.assert_allclose(caffe_probabilities(tmp_path / "plain", faces), as_trained, atol=1e-5)


def test_onnx_returns_calibrated_probabilities(calibrated, faces, tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export(calibrated, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"faces": faces})
    np.testing.assert_allclose(found, apply_temperature(Classifier(calibrated).probabilities(faces), 0.6), atol=1e-4)


def test_safetensors_keep_the_temperature_as_metadata(calibrated, tmp_path) -> None:
    export(calibrated, tmp_path / "m.safetensors")
    export(calibrated, tmp_path / "u.safetensors", calibrated=False)
    assert load_model(tmp_path / "m.safetensors").metadata.temperature == 0.6
    assert load_model(tmp_path / "u.safetensors").metadata.calibration == {}


@pytest.mark.parametrize("name", pl.zoo.names())
def test_every_net_of_the_zoo_can_be_folded(name: str, calibrated) -> None:
    deploy = (pl.zoo.path(name) / "deploy.prototxt").read_text()
    last = [layer.name for layer in pl.parse_net(deploy).layer if layer.type == "InnerProduct"][-1]
    weights = {f"{last}/0": torch.ones(7, 3), f"{last}/1": torch.ones(7), "other/0": torch.ones(2)}
    folded = fold_temperature(replace(calibrated, deploy_prototxt=deploy, weights=weights))
    assert {key: round(float(blob.max()), 5) for key, blob in folded.weights.items()} == {
        f"{last}/0": round(1 / 0.6, 5),
        f"{last}/1": round(1 / 0.6, 5),
        "other/0": 1,
    }
    assert folded.metadata.calibration == {}


def test_a_net_with_another_end_is_rejected(calibrated, tmp_path) -> None:
    deploy = calibrated.deploy_prototxt.replace('type: "Softmax"', 'type: "Sigmoid"')
    with pytest.raises(ModelError, match=r"the temperature cannot be folded into small_net.*--uncalibrated"):
        fold_temperature(replace(calibrated, deploy_prototxt=deploy))
