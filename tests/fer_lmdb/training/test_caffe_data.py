"""Training on folders of Caffe's tools: color, the net's own sources, crops that differ from the deploy net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import DataSetError, RunError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.exporting.export import export
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.train import resume, train
from prototxt_like.io.datum_store import LmdbWriter

NAMES = "red,green,blue"
SIZE = 12

TRAIN_VAL = """
layer {{ name: "d" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ crop_size: {crop} mirror: true {mean} }}
  data_param {{ source: "{train}" batch_size: 6 backend: LMDB }} }}
layer {{ name: "d" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ crop_size: {crop} {mean} }} data_param {{ source: "{test}" batch_size: 3 backend: LMDB }} }}
layer {{ name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "g" type: "Pooling" bottom: "c" top: "g"
  pooling_param {{ pool: AVE global_pooling: {pooled} kernel_size: {kernel} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "g" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
PROB = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
SOLVER = 'net: "train_val.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 4 momentum: 0.9'


def write_database(path: Path, count: int) -> None:
    """Write noisy images whose strongest channel is red, green or blue."""
    random = np.random.default_rng(count)
    with LmdbWriter(path) as writer:
        for number in range(count):
            image = random.integers(0, 60, (3, SIZE, SIZE), dtype=np.uint8)
            image[2 - number % 3] += 190  # the planes are blue, green, red
            writer.append(f"{number}.png", image, number % 3)


def write_net(folder: Path, *, input_size: int, crop: int = 10, pooled: bool = True, mean: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    kernel = "" if pooled else "1"
    text = TRAIN_VAL.format(
        crop=crop, train="x_train_lmdb", test="x_test_lmdb", mean=mean, pooled=str(pooled).lower(), kernel=kernel
    ).replace("kernel_size:  }", "}")
    layers = text[text.index('layer { name: "c"') :]
    shape = f"dim: 1 dim: 3 dim: {input_size} dim: {input_size}"
    deploy = f'layer {{ name: "in" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}\n'
    (folder / "train_val.prototxt").write_text(text + LOSS)
    (folder / "deploy.prototxt").write_text(deploy + layers + PROB)
    (folder / "solver.prototxt").write_text(SOLVER)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working directory with databases and a mean as convert_imageset and compute_image_mean write them."""
    monkeypatch.chdir(tmp_path)
    write_database(tmp_path / "db" / "x_train_lmdb", 12)
    write_database(tmp_path / "db" / "x_test_lmdb", 6)
    pl.write_mean(np.full((3, SIZE, SIZE), 100, np.float32), tmp_path / "db" / "x_mean.binaryproto")
    return tmp_path


def test_color_goes_from_the_folder_to_the_exported_net(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    net = write_net(folder / "net", input_size=10, mean='mean_file: "x_mean.binaryproto"')
    result = train(model=str(net), data="db", labels=NAMES, epochs=40, device="cpu", precision="float32", run="r")
    assert "serves as validation" in caplog.text
    assert result.best is not None and result.best["val_accuracy"] == 1.0
    model = load_model(result.run.path)
    assert (model.scheme.classes, model.preprocessing.channel_order) == (("red", "green", "blue"), "bgr")
    assert model.mean is not None and model.mean.shape == (3, SIZE, SIZE)
    assert evaluate(str(result.run.path)).accuracy == 1.0  # on the data set of the run

    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[:, :, 0] = 220
    (face,) = Recognizer(result.run.path, detector="none")(red)
    assert face.expression == "red"

    export(result.run.path, folder / "caffe")
    (weights,) = (folder / "caffe").glob("*.caffemodel")
    exported = pl.Net(folder / "caffe" / "deploy.prototxt", weights).eval()
    planes = torch.from_numpy(red[:, :, ::-1].transpose(2, 0, 1).copy())[None]
    mean = torch.from_numpy(pl.read_mean(folder / "caffe" / "mean.binaryproto"))
    with torch.inference_mode():
        (probabilities,) = exported(data=(planes - mean)[:, :, 1:11, 1:11]).values()
    np.testing.assert_allclose(probabilities[0].numpy(), list(face.probabilities.values()), atol=1e-5)


def test_a_run_resumes_without_its_labels_and_its_data_option(folder: Path) -> None:
    net = write_net(folder / "net", input_size=10)
    train(model=str(net), data="db", labels=NAMES, epochs=1, device="cpu", run="r")
    assert resume("r").finished
    assert RunFolder(Path("runs/r")).read_config()["labels"]["classes"] == ["red", "green", "blue"]
    (folder / "db" / "x_train_lmdb" / "data.mdb").unlink()
    write_database(folder / "db" / "x_train_lmdb", 15)
    with pytest.raises(DataSetError, match="not the data set this run was trained on"):
        resume("r")


def test_the_sources_of_the_net_are_followed_without_data(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Here they lie beside the prototxt, not in the working directory."""
    net = write_net(folder / "db", input_size=10, mean='mean_file: "x_mean.binaryproto"')
    result = train(model=str(net), labels=NAMES, epochs=1, device="cpu", run="r")
    data = result.run.read_config()["options"]["data"]
    assert data == f"train={net}/x_train_lmdb,test={net}/x_test_lmdb,mean={net}/x_mean.binaryproto"
    assert f"data of the net: {data}" in caplog.text
    assert evaluate(str(result.run.path)).n == 6


def test_a_source_that_does_not_exist(folder: Path) -> None:
    net = write_net(folder / "net", input_size=10)
    with pytest.raises(DataSetError, match=r'source of layer "d" was not found: tried x_train_lmdb and .*net/x_train'):
        train(model=str(net), labels=NAMES, epochs=1, run="r")
    text = (net / "train_val.prototxt").read_text().replace('"Data"', '"ImageData"')
    (net / "train_val.prototxt").write_text(text)
    with pytest.raises(
        DataSetError, match='layer "d" is ImageData, expected Data; convert its list with fer-lmdb build'
    ):
        train(model=str(net), labels=NAMES, epochs=1, run="r")


def test_the_deploy_net_is_built_for_the_crop_if_the_weights_fit(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = write_net(folder / "net", input_size=SIZE)
    result = train(model=str(net), data="db", labels=NAMES, epochs=1, device="cpu", run="r")
    assert "the deploy net takes 3 x 12 x 12, the TEST transform gives 3 x 10 x 10; the deploy net is built for" in (
        caplog.text
    )
    deploy = pl.read_net(result.run.path / "deploy.prototxt")
    assert list(deploy.layer[0].input_param.shape[0].dim) == [1, 3, 10, 10]


def test_a_crop_that_fits_no_deploy_net_is_found_before_the_first_batch(folder: Path) -> None:
    net = write_net(folder / "net", input_size=SIZE, pooled=False)
    deploy = net / "deploy.prototxt"
    deploy.write_text(deploy.read_text().replace("kernel_size: 3", "kernel_size: 5"))
    with pytest.raises(RunError, match=r"takes 3 x 12 x 12, the TEST transform gives 3 x 10 x 10, and the weights do"):
        train(model=str(net), data="db", labels=NAMES, epochs=1, run="r")
    assert not Path("runs/r").exists()
