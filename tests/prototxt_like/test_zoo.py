"""Tests of all zoo nets: consistent files, correct README, training on real faces."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.errors import FileError, NetError
from prototxt_like.net.filter import filter_net, make_net_state
from tests.archives import unpack

NAMES = pl.zoo.names()
# Published nets that the zoo reproduces, and six nets of this project.
EXPECTED = {
    "emonet",
    "emonet_extend",
    "face_emotion_net",
    "fer_conv12",
    "fer_conv12_wide",
    "fer_conv8",
    "fer_mini",
    "fer_mini_narrow",
    "fer_resnet",
    "inception_v1",
    "resnet34",
    "shallow_cnn",
    "vgg16",
    "vgg16_imagenet",
    "vgg16_noise",
    "wide_cnn",
}
# Nets whose train_val uses extensions.
EXTENDED = {
    "emonet",
    "emonet_extend",
    "fer_conv12",
    "fer_conv12_wide",
    "fer_conv8",
    "fer_mini",
    "fer_mini_narrow",
    "fer_resnet",
    "vgg16_noise",
}
# Nets small enough to learn visibly within seconds.
QUICK = {"face_emotion_net", "fer_mini", "fer_mini_narrow", "shallow_cnn", "wide_cnn"}
# Nets with branches before a Scale of 0, whose weights hardly change in the first steps.
INITIALLY_IDENTITY = {"fer_conv12", "fer_conv12_wide"}
TRAIN_ONLY_TYPES = {"GaussianNoise"}


def transform_of(net: pl.NetParameter, phase: str) -> pl.TransformationParameter:
    """Return the transformation of a phase, without the mean, whose path the application sets."""
    number = pl.Phase.Value(phase)
    layer = next(part for part in net.layer if part.type == "Data" and part.include[0].phase == number)
    parameter = pl.TransformationParameter()
    parameter.CopyFrom(layer.transform_param)
    parameter.ClearField("mean_file")
    return parameter


def training_net(name: str, batch: int, classes: int = 7) -> pl.Net:
    message = pl.zoo.load(name, classes)
    transform = transform_of(message, "TRAIN")
    size = transform.crop_size or 48
    data = (batch, 3 if transform.force_color else 1, size, size)
    return pl.Net(message, phase="TRAIN", input_shapes={"data": data, "label": (batch,)})


def body(net: pl.NetParameter) -> list[bytes]:
    """Return the layers between data and scores in TEST."""
    ends = {"Data", "Input", "Softmax", "SoftmaxWithLoss", "Accuracy"} | TRAIN_ONLY_TYPES
    layers = filter_net(net, make_net_state(net, "TEST")).layer
    return [layer.SerializeToString(deterministic=True) for layer in layers if layer.type not in ends]


@pytest.fixture(scope="module")
def faces(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sixteen faces of FER2013, uint8, and their labels."""
    lmdb = pytest.importorskip("lmdb")
    folder = tmp_path_factory.mktemp("lmdb")
    unpack(shared / "golden/caffe/img_train_lmdb.tar.xz", folder)
    with lmdb.open(str(folder / "img_train_lmdb"), readonly=True, lock=False) as base, base.begin() as transaction:
        records = [pl.Datum.FromString(value) for (_, value), _ in zip(transaction.cursor(), range(16), strict=False)]
    images = np.stack([np.frombuffer(record.data, np.uint8).reshape(1, 48, 48) for record in records])
    return torch.from_numpy(images), torch.tensor([record.label for record in records])


def test_the_zoo_is_complete() -> None:
    assert set(NAMES) == EXPECTED
    for name in NAMES:
        assert {file.name for file in pl.zoo.path(name).iterdir()} >= {
            "train_val.prototxt",
            "solver.prototxt",
            "deploy.prototxt",
            "README.md",
        }


@pytest.mark.parametrize("name", NAMES)
def test_deploy_equals_the_body_of_train_val(name: str) -> None:
    assert body(pl.zoo.load(name)) == body(pl.zoo.load(name, form="deploy"))


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_states_parameters_and_results(name: str) -> None:
    text = (pl.zoo.path(name) / "README.md").read_text()
    deploy = pl.Net(pl.zoo.load(name, form="deploy"))
    counted = sum(parameter.numel() for parameter in deploy.parameters())
    assert f"{counted:,}" in text
    assert text.startswith(f"# {name}\n")
    assert "\n## Measured\n" in text


@pytest.mark.parametrize("name", NAMES)
def test_only_marked_nets_need_extensions(name: str) -> None:
    assert pl.is_pure_caffe(pl.zoo.load(name)) is (name not in EXTENDED)
    assert pl.is_pure_caffe(pl.zoo.load(name, form="deploy"))
    claims_none = "| extensions | none" in (pl.zoo.path(name) / "README.md").read_text()
    solver = pl.read_solver(pl.zoo.path(name) / "solver.prototxt")
    assert claims_none is (pl.is_pure_caffe(solver) and name not in EXTENDED) or name == "face_emotion_net"


@pytest.mark.parametrize("name", NAMES)
def test_the_solver_matches_the_net(name: str) -> None:
    solver = pl.read_solver(pl.zoo.path(name) / "solver.prototxt")
    assert solver.net == "train_val.prototxt"
    assert solver.snapshot_prefix == f"runs/{name}"
    train = next(layer for layer in pl.zoo.load(name).layer if layer.type == "Data")
    epochs = solver.max_iter * train.data_param.batch_size / 28709
    assert 15 < epochs < 170
    assert all(step < solver.max_iter for step in solver.stepvalue)


@pytest.mark.parametrize("form", ["train_val", "deploy"])
@pytest.mark.parametrize("name", NAMES)
def test_only_the_classifiers_depend_on_the_classes(name: str, form: str) -> None:
    changed = [
        new.name
        for new, old in zip(pl.zoo.load(name, 6, form).layer, pl.zoo.load(name, 7, form).layer, strict=True)
        if new != old
    ]
    assert len(changed) == (3 if name == "inception_v1" and form == "train_val" else 1)


@pytest.mark.parametrize("classes", [2, 6, 8])
def test_number_of_classes(classes: int) -> None:
    deploy = pl.Net(pl.zoo.load("shallow_cnn", classes, "deploy"))
    assert {name: deploy.shapes[name] for name in deploy.outputs} == {"prob": (1, classes)}


def test_invalid_names_and_classes_are_rejected() -> None:
    with pytest.raises(FileError, match=r'no net "nothing"; expected one of emonet, .*wide_cnn'):
        pl.zoo.path("nothing")
    with pytest.raises(FileError, match='the zoo has no net "vgg61"; did you mean "vgg16"'):
        pl.zoo.load("vgg61")
    with pytest.raises(NetError, match="invalid number of classes: found 1, expected 2 or more"):
        pl.zoo.load("vgg16", 1)
    net = pl.parse_net('layer { name: "a" type: "ReLU" bottom: "x" top: "y" }')
    with pytest.raises(NetError, match="no InnerProduct layer"):
        pl.zoo.set_num_classes(net, 7)


def test_without_readers_of_scores_the_last_inner_product_is_the_classifier() -> None:
    layer = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}" inner_product_param {{ num_output: 3 }} }}'
    )
    net = pl.parse_net(layer.format("a", "x") + layer.format("b", "a"))
    assert [part.inner_product_param.num_output for part in pl.zoo.set_num_classes(net, 9).layer] == [3, 9]


@pytest.mark.parametrize("name", NAMES)
def test_training_on_real_faces(faces: tuple[torch.Tensor, torch.Tensor], name: str) -> None:
    """One update changes every learnable blob and no frozen one, and the loss is finite."""
    torch.manual_seed(1)
    count = 16 if name in QUICK else 2
    images, labels = faces[0][:count], faces[1][:count]
    net = training_net(name, count)
    solver = pl.Solver(pl.zoo.path(name) / "solver.prototxt", net)
    transform = pl.Transform(transform_of(pl.zoo.load(name), "TRAIN"), "TRAIN")
    before = [entry.parameter.detach().clone() for entry in net.learnable_params]
    losses = []
    for seed in range(24 if name in INITIALLY_IDENTITY else 12 if name in QUICK else 1):
        data = transform(images, generator=torch.Generator().manual_seed(seed))
        loss = net.total_loss(net(data=data, label=labels))
        losses.append(loss.item())
        solver.step(loss)
    assert np.isfinite(losses).all()
    for old, (parameter, lr_mult, _) in zip(before, net.learnable_params, strict=True):
        assert torch.equal(old, parameter) is (lr_mult == 0)
    if name in QUICK:
        assert min(losses[-3:]) < losses[0]


def test_readmes_mention_existing_layers() -> None:
    for name in NAMES:
        layers = {layer.name for layer in pl.zoo.load(name).layer}
        architecture, _, _ = (pl.zoo.path(name) / "README.md").read_text().partition("## Measured")
        rows = re.findall(r"^\| ([a-z][^|]*) \| [^|]+ \| [^|]+ \|$", architecture, re.M)
        named = [word for row in rows if row != "layer" for word in re.split(r", | to ", row)]
        known = layers | {layer.split("/")[0] for layer in layers}  # an inception module is a prefix
        assert named and not set(named) - known, name


def test_fer_conv12_with_weights_of_fer_conv8_has_the_same_outputs() -> None:
    small, large = (pl.Net(pl.zoo.load(name, form="deploy")) for name in ("fer_conv8", "fer_conv12"))
    for name, blobs in small.params.items():
        for given, blob in zip(blobs, large.params[name], strict=True):
            blob.data.copy_(given)
    face = torch.randn(1, 1, 44, 44, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(large(data=face)["prob"], small(data=face)["prob"], atol=1e-6)


@pytest.mark.parametrize("names", [("fer_conv12", "fer_conv12_wide"), ("fer_mini_narrow", "fer_mini")])
def test_a_wider_net_has_the_layers_of_the_narrower_one(names: tuple[str, str]) -> None:
    narrow, wide = (pl.zoo.load(name) for name in names)
    assert [(layer.name, layer.type) for layer in narrow.layer] == [(layer.name, layer.type) for layer in wide.layer]
