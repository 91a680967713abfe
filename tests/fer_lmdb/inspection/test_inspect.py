"""Description and verification of each kind of file."""

from __future__ import annotations

import json
import lzma
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import SourceError
from fer_lmdb.inspection.drawing import save_drawing
from fer_lmdb.inspection.inspect import inspect
from fer_lmdb.models.registry import list_pretrained, load_model
from prototxt_like import zoo
from prototxt_like.errors import PrototxtLikeError

NET = zoo.path("face_emotion_net")


def problems(path: Path | str) -> str:
    return "\n".join(inspect(path, verify=True)["problems"])


def test_mean(stripes_data: Path, tmp_path: Path) -> None:
    document = inspect(stripes_data / "mean.binaryproto", verify=True)
    assert (document["shape"], document["problems"]) == ([1, 48, 48], [])
    for value, message in ((np.nan, "NaN or infinite"), (300, "expected 0 to 255")):
        pl.write_mean(np.full((1, 3, 3), value, np.float32), tmp_path / "bad.binaryproto")
        assert message in problems(tmp_path / "bad.binaryproto")


def test_net(tmp_path: Path) -> None:
    document = inspect("face_emotion_net" if not list_pretrained() else NET / "train_val.prototxt", verify=True)
    assert (document["what"], document["problems"], document["pure_caffe"]) == ("net", [], True)
    test = document["phases"]["TEST"]
    assert (test["parameters"], test["multiply_adds"]) == (5_452_711, 18_465_920)
    rows = {row["name"]: row for row in test["layers"]}
    assert rows["pool3"]["top_shapes"][0][1:] == (64, 5, 5)
    assert set(document["phases"]) == {"TRAIN", "TEST"}
    json.dumps(document)


def test_a_constant_power_layer(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } } '
        'layer { name: "off" type: "Power" bottom: "data" top: "off" power_param { scale: 0 } }'
    )
    assert inspect(path)["phases"]["TEST"]["layers"][1]["top_shapes"] == ((1, 2),)


def test_notes_about_memory_that_blobs_share_in_caffe(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } } '
        'layer { name: "t" type: "TanH" bottom: "data" top: "y" } '
        'layer { name: "s" type: "Scale" bottom: "y" top: "y" }'
    )
    (note,) = inspect(path)["phases"]["TEST"]["notes"]
    assert note.startswith('layer "t" (TanH): as in Caffe, its gradient is computed from values')


def test_solver() -> None:
    document = inspect(NET / "solver.prototxt", verify=True)
    assert document["what"] == "solver"
    assert document["fields"]["base_lr"] == 0.01
    assert document["rates"]["0"] == pytest.approx(0.01)
    assert document["rates"]["75999"] == pytest.approx(0.0001)


def test_solver_with_another_file_name(tmp_path: Path) -> None:
    shutil.copy(NET / "solver.prototxt", tmp_path / "recipe.prototxt")
    assert inspect(tmp_path / "recipe.prototxt")["what"] == "solver"


def test_a_shape_that_the_file_does_not_say_is_called_an_assumption(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param { batch_size: 64 } }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
    )
    phase = inspect(path)["phases"]["TRAIN"]
    assert phase["inputs"] == {"data": [64, 1, 48, 48], "label": [64]}
    assert phase["notes"] == [
        'the shape of "data" is unknown: layer "d" (Data) does not define it; images of 1 x 48 x 48 are assumed'
    ]


def test_a_broken_prototxt(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "a" kernal_size: 3 }')
    with pytest.raises(PrototxtLikeError, match=r"net.prototxt:1:\d+"):
        inspect(tmp_path / "net.prototxt")


def test_caffemodel(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "init.caffemodel"
    path.write_bytes(lzma.decompress((shared / "golden" / "caffe" / "init.caffemodel.xz").read_bytes()))
    document = inspect(path, verify=True)
    assert (document["parameters"], document["problems"]) == (5_452_711 + 259, [])
    blob = next(row for row in document["blobs"] if row["name"] == "fc3/0")
    assert (blob["shape"], blob["type"]) == ([7, 1024], "InnerProduct")
    message = pl.read_net(path)
    message.layer[1].blobs[0].data[0] = np.nan
    path.write_bytes(message.SerializeToString())
    assert "conv1/0 contains NaN or infinite values" in problems(path)


def test_run_and_model(trained) -> None:
    folder = trained.run.path
    document = inspect(folder, verify=True)
    assert (document["kind"], document["epochs"], document["problems"]) == ("run", 3, [])
    model = inspect(folder / "best.safetensors", verify=True)
    assert (model["kind"], model["problems"]) == ("model", [])
    assert model["classes"][3] == "happy"
    json.dumps(model)


def test_damaged_model(trained, tmp_path: Path) -> None:
    model = load_model(trained.run.path / "best.safetensors")
    name, blob = next((name, blob) for name, blob in model.weights.items() if blob.ndim == 2)
    broken = torch.full_like(blob, torch.nan)
    replace(model, weights={**model.weights, name: broken}).save(tmp_path / "nan.safetensors")
    assert f"{name} contains NaN or infinite values" in problems(tmp_path / "nan.safetensors")
    replace(model, weights={**model.weights, name: blob[:, :-1]}).save(tmp_path / "cut.safetensors")
    assert name in problems(tmp_path / "cut.safetensors")


def test_drawings(stripes_data: Path, tmp_path: Path) -> None:
    save_drawing("data set", stripes_data, tmp_path / "data.png")
    save_drawing("mean", stripes_data / "mean.binaryproto", tmp_path / "mean.png")
    save_drawing("database", stripes_data / "val_lmdb", tmp_path / "faces.png")
    assert cv2.imread(str(tmp_path / "mean.png")).shape == (384, 384, 3)
    assert cv2.imread(str(tmp_path / "faces.png")).shape == (232, 768, 3)
    mean = pl.read_mean(stripes_data / "mean.binaryproto")
    drawn = cv2.imread(str(tmp_path / "mean.png"), cv2.IMREAD_GRAYSCALE)[::8, ::8]
    np.testing.assert_array_equal(drawn, np.rint(mean[0]))


@pytest.mark.parametrize("name", ["train_val.prototxt", "deploy.prototxt"])
def test_drawing_of_a_net(tmp_path: Path, name: str) -> None:
    save_drawing("prototxt", NET / name, tmp_path / "net.svg")
    words = "".join(ElementTree.parse(tmp_path / "net.svg").getroot().itertext())
    assert "conv1" in words and "fc3" in words


@pytest.mark.parametrize(("kind", "out"), [("mean", "a.svg"), ("prototxt", "a.png"), ("run", "a.png")])
def test_unsupported_drawings(tmp_path: Path, kind: str, out: str) -> None:
    with pytest.raises(SourceError):
        save_drawing(kind, tmp_path, tmp_path / out)


def test_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    for path, message in (
        (tmp_path / "nowhere", "not found; expected a file"),
        (tmp_path, "is not a data set, database or run"),
        (tmp_path / "a.txt", "unknown file type"),
    ):
        with pytest.raises(SourceError, match=message):
            inspect(path)
