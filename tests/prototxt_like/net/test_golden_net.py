"""Tests of FaceEmotionNet against values computed by Caffe."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from tests.archives import unpack

DEPLOY = pl.zoo.path("face_emotion_net") / "deploy.prototxt"


@pytest.fixture(scope="module")
def caffe(shared: Path) -> Path:
    return shared / "golden" / "caffe"


@pytest.fixture(scope="module")
def first_batch(caffe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The first 64 faces of the training database minus the mean, as from Caffe's Data layer."""
    lmdb = pytest.importorskip("lmdb")
    folder = tmp_path_factory.mktemp("lmdb")
    unpack(caffe / "img_train_lmdb.tar.xz", folder)
    with lmdb.open(str(folder / "img_train_lmdb"), readonly=True, lock=False) as base, base.begin() as transaction:
        records = [pl.Datum.FromString(value) for (_, value), _ in zip(transaction.cursor(), range(64), strict=False)]
    faces = np.stack([np.frombuffer(record.data, np.uint8).reshape(1, 48, 48) for record in records])
    mean = pl.read_mean(caffe / "train_mean.binaryproto")
    labels = torch.tensor([record.label for record in records])
    return {"data": torch.from_numpy(faces.astype(np.float32) - mean), "label": labels}


def model(caffe: Path, name: str) -> pl.NetParameter:
    return pl.NetParameter.FromString(lzma.decompress((caffe / f"{name}.caffemodel.xz").read_bytes()))


def near(found: torch.Tensor, expected: np.ndarray, tolerance: float = 1e-5, floor: float = 0.0) -> None:
    """Assert equal shapes, and values within a tolerance relative to the largest value."""
    assert tuple(found.shape) == expected.shape
    limit = max(tolerance * float(np.abs(expected).max()), floor)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=limit)


def unrolled(message: pl.NetParameter) -> pl.NetParameter:
    """Return the same net with unique tops: in-place tops are named after their layer."""
    newest: dict[str, str] = {}
    for layer in message.layer:
        in_place = layer.bottom and layer.bottom[0] == layer.top[0]
        layer.bottom[:] = [newest.get(name, name) for name in layer.bottom]
        if in_place:
            newest[layer.top[0]] = layer.name.replace("/", "_")
            layer.top[0] = newest[layer.top[0]]
    return message


def test_every_blob_of_the_trained_net(caffe: Path) -> None:
    golden = np.load(caffe / "deploy_sgd200_42.npz")
    net = pl.Net(DEPLOY, deploy_weights(caffe))
    with torch.no_grad():
        blobs = net.blobs(data=torch.from_numpy(golden["blob/data"]))
    expected = {name.removeprefix("blob/") for name in golden.files if name.startswith("blob/")}
    assert set(blobs) == expected
    for name in expected:
        near(blobs[name], golden[f"blob/{name}"])


def test_every_blob_before_in_place_layers(caffe: Path) -> None:
    golden = np.load(caffe / "deploy_sgd200_42_unrolled_first2.npz")
    net = pl.Net(unrolled(pl.read_net(DEPLOY)), deploy_weights(caffe))
    with torch.no_grad():
        blobs = net.blobs(data=torch.from_numpy(golden["blob/data"]))
    assert {f"blob/{name}" for name in blobs} == set(golden.files)
    for name in blobs:
        near(blobs[name], golden[f"blob/{name}"])


def test_loss_and_gradients_of_the_first_batch(caffe: Path, first_batch: dict[str, torch.Tensor]) -> None:
    golden = np.load(caffe / "grad0.npz")
    net = trained_at_48(caffe, first_batch)
    near(first_batch["data"][:4], golden["data_first4"], 0)
    assert first_batch["label"].tolist() == golden["labels"].tolist()

    loss = net.total_loss(net(**first_batch))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(golden["loss"]), rel=1e-6)
    compared = [check_gradient(golden, net, layer, index) for layer, index in learned(net)]
    assert len(compared) == 12
    for layer in ("conv1/bn", "conv2/bn", "conv3/bn"):
        for index, blob in enumerate(net.params[layer]):
            near(blob, golden[f"bnstat_after1/{layer}.{index}"])


def learned(net: pl.Net) -> list[tuple[str, int]]:
    return [
        (layer, index) for layer, blobs in net.params.items() for index, blob in enumerate(blobs) if blob.requires_grad
    ]


def check_gradient(golden: np.lib.npyio.NpzFile, net: pl.Net, layer: str, index: int) -> str:
    name = f"{layer}.{index}"
    gradient = net.params[layer][index].grad
    assert gradient is not None
    if f"gradfull/{name}" in golden.files:
        # The bias of a convolution before BatchNorm has no gradient except rounding noise.
        near(gradient, golden[f"gradfull/{name}"], 2e-5, floor=5e-7)
    sample = gradient.flatten()[torch.from_numpy(golden[f"grad/{name}|idx"])]
    near(sample, golden[f"grad/{name}|val"], 2e-5, floor=5e-7)
    assert float(gradient.double().norm()) == pytest.approx(float(golden[f"grad/{name}|l2"]), rel=1e-5, abs=2e-6)
    return name


def test_scores_of_the_first_batch(caffe: Path, first_batch: dict[str, torch.Tensor]) -> None:
    golden = np.load(caffe / "grad0.npz")
    near(trained_at_48(caffe, first_batch).blobs(**first_batch)["fc3"], golden["fc3"])


def trained_at_48(caffe: Path, batch: dict[str, torch.Tensor]) -> pl.Net:
    message = model(caffe, "init")
    shapes = {name: tuple(value.shape) for name, value in batch.items()}
    return pl.Net(message, message, phase="TRAIN", input_shapes=shapes)


def test_fillers_have_caffes_distribution(caffe: Path) -> None:
    """Compare bounds, mean and standard deviation of a net filled by Caffe with a net filled here."""
    golden = np.load(caffe / "filler_stats.npz")
    torch.manual_seed(1)
    message = model(caffe, "init")
    net = pl.Net(message, phase="TRAIN", input_shapes={"data": (64, 1, 48, 48), "label": (64,)})
    checked = 0
    for layer, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            low, high, mean, std = golden[f"{layer}.{index}"].tolist()
            blob = blob.detach()
            few = 4 * std / blob.numel() ** 0.5  # standard error of the mean
            assert float(blob.mean()) == pytest.approx(mean, abs=2 * few + 1e-7)
            assert float(blob.std(correction=0)) == pytest.approx(std, rel=0.05, abs=1e-7)
            assert float(blob.min()) == pytest.approx(low, rel=0.02, abs=1e-7)
            assert float(blob.max()) == pytest.approx(high, rel=0.02, abs=1e-7)
            checked += 1
    assert checked == len(golden.files)


def test_caffemodel_round_trip_through_a_net(caffe: Path, tmp_path: Path) -> None:
    """A file written by Caffe, loaded into a net and saved again, is byte-identical."""
    original = lzma.decompress((caffe / "final_sgd200.caffemodel.xz").read_bytes())
    message = pl.NetParameter.FromString(original)
    shapes = {"data": (64, 1, 48, 48), "label": (64,)}
    net = pl.Net(message, message, phase="TRAIN", input_shapes=shapes)
    pl.save_weights(net, tmp_path / "again.caffemodel")
    assert (tmp_path / "again.caffemodel").read_bytes() == original


@pytest.mark.parametrize("split", ["train", "test"])
def test_mean_image_round_trip(caffe: Path, tmp_path: Path, split: str) -> None:
    path = caffe / f"{split}_mean.binaryproto"
    mean = pl.read_mean(path)
    assert mean.shape == (1, 48, 48)
    assert mean.dtype == np.float32
    pl.write_mean(mean, tmp_path / "mean.binaryproto")
    assert (tmp_path / "mean.binaryproto").read_bytes() == path.read_bytes()


def test_mean_of_the_deploy_case(caffe: Path) -> None:
    golden = np.load(caffe / "deploy_sgd200_42.npz")
    mean = pl.read_mean(caffe / "test_mean.binaryproto")
    np.testing.assert_array_equal(mean, golden["mean"][0])
    crop = np.s_[..., 3:45, 3:45]
    np.testing.assert_array_equal(golden["images_u8"][crop] - mean[crop], golden["blob/data"])


def deploy_weights(caffe: Path) -> pl.NetParameter:
    """Return the trained model without the layers of phase TRAIN."""
    return model(caffe, "final_sgd200")
