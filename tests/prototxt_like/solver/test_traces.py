"""Tests of complete training runs of FaceEmotionNet against Caffe.

Tolerance: training is chaotic. A rounding difference decides a near tie in max pooling, and from then on the losses
diverge, also between two runs of Caffe. The golden files contain each trace twice, computed with one and with two
BLAS threads; their difference is the noise floor. Within each window of iterations the error may be three times the
largest noise, and at least 2e-6, which is a few float32 steps of a loss of 4. The windows start with 5 iterations
for SGD, whose noise is 6e-6, and with 10 for the adaptive rules, whose first updates have the same size for any
gradient and thus turn rounding noise into full steps.

oneDNN is disabled because its weight gradients round differently from matrix products and decide other ties.

By default only the first iterations run; FER_LMDB_FULL_TRACES=1 runs all 400.
"""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import prototxt_like as pl
from tests.archives import unpack

FULL = os.environ.get("FER_LMDB_FULL_TRACES") == "1"
WINDOWS = [10, 20, 50, 100, 150, 200]


class Trace(NamedTuple):
    rule: str
    rate: float
    adaptive: bool
    steps: tuple[int, int]
    iterations: int
    short: int


TRACES = {
    "sgd200": Trace('type: "SGD" momentum: 0.9', 0.01, False, (120, 170), 200, 10),
    "nesterov50t": Trace('type: "Nesterov" momentum: 0.9', 0.01, False, (30, 42), 50, 5),
    "adam50t": Trace('type: "Adam" momentum: 0.9 momentum2: 0.999', 0.001, True, (30, 42), 50, 5),
    "adagrad50t": Trace('type: "AdaGrad" delta: 1e-4', 0.001, True, (30, 42), 50, 5),
    "rmsprop50t": Trace('type: "RMSProp" rms_decay: 0.98 delta: 1e-4', 0.0001, True, (30, 42), 50, 5),
}


@pytest.fixture(scope="module")
def caffe(shared: Path) -> Path:
    return shared / "golden" / "caffe"


@pytest.fixture(scope="module")
def faces(caffe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, torch.Tensor]:
    """The 2,000 training faces minus the mean, and their labels, in database order."""
    lmdb = pytest.importorskip("lmdb")
    folder = tmp_path_factory.mktemp("lmdb")
    unpack(caffe / "img_train_lmdb.tar.xz", folder)
    with lmdb.open(str(folder / "img_train_lmdb"), readonly=True, lock=False) as base, base.begin() as transaction:
        records = [pl.Datum.FromString(value) for _, value in transaction.cursor()]
    pixels = np.stack([np.frombuffer(record.data, np.uint8).reshape(1, 48, 48) for record in records])
    transform = pl.Transform(
        pl.TransformationParameter(), "TRAIN", mean=torch.from_numpy(pl.read_mean(caffe / "train_mean.binaryproto"))
    )
    return transform(torch.from_numpy(pixels)), torch.tensor([record.label for record in records])


@pytest.fixture(scope="module")
def initial(caffe: Path) -> pl.NetParameter:
    return pl.NetParameter.FromString(lzma.decompress((caffe / "init.caffemodel.xz").read_bytes()))


@pytest.fixture(autouse=True)
def plain_arithmetic() -> Iterator[None]:
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield


def trace_net(initial: pl.NetParameter) -> pl.Net:
    """FaceEmotionNet of the traces: 48 x 48, no dropout."""
    message = pl.read_net(pl.zoo.path("face_emotion_net") / "train_val.prototxt")
    for layer in message.layer:
        if layer.type == "Data":
            layer.transform_param.crop_size = 48
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    return pl.Net(message, initial, "TRAIN", input_shapes={"data": (64, 1, 48, 48), "label": (64,)})


def trace_solver(trace: Trace, net: pl.Net) -> pl.Solver:
    steps = "".join(f" stepvalue: {step}" for step in trace.steps)
    text = f'{trace.rule} base_lr: {trace.rate} weight_decay: 0.0005 lr_policy: "multistep" gamma: 0.1 {steps}'
    return pl.Solver(text_format.Parse(text, pl.SolverParameter()), net)


def check_weights(net: pl.Net, golden: np.lib.npyio.NpzFile, trace: Trace) -> None:
    """Compare sampled values after one update, without biases before BatchNorm, whose gradients are noise."""
    for layer, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            if layer.startswith("conv") and index == 1 and not layer.endswith("/bn"):
                continue
            expected = golden[f"it1/{layer}.{index}|val"]
            found = blob.detach().numpy().ravel()[golden[f"it1/{layer}.{index}|idx"]]
            limit = 1e-5 * np.abs(expected).max() + (0.05 * trace.rate if trace.adaptive else 0)
            np.testing.assert_allclose(found, expected, rtol=0, atol=limit, err_msg=f"{layer}.{index}")


def check_losses(found: np.ndarray, golden: np.ndarray, noise: np.ndarray, windows: list[int]) -> None:
    distance = np.abs(found - golden[: len(found)])
    for first, last in pairwise([0, *windows]):
        limit = max(3 * noise[first:last].max(), 2e-6)
        assert distance[first:last].max(initial=0) <= limit, f"iterations {first} to {last}"


@pytest.mark.parametrize("name", TRACES)
def test_training_follows_caffe(
    caffe: Path, faces: tuple[torch.Tensor, torch.Tensor], initial: pl.NetParameter, name: str
) -> None:
    trace, (pixels, labels) = TRACES[name], faces
    with np.load(caffe / f"trace_{name}.npz") as golden, np.load(caffe / "noise_floor_losses.npz") as floor:
        net = trace_net(initial)
        solver = trace_solver(trace, net)
        losses = []
        for iteration in range(trace.iterations if FULL else trace.short):
            batch = torch.arange(iteration * 64, iteration * 64 + 64) % len(pixels)
            loss = net.total_loss(net(data=pixels[batch], label=labels[batch]))
            losses.append(loss.item())
            solver.step(loss)
            if iteration == 0:
                check_weights(net, golden, trace)
        noise = np.abs(floor[f"{name}/loss_1thread"] - golden["loss"])
        windows = WINDOWS if trace.adaptive else [5, *WINDOWS]
        check_losses(np.array(losses), golden["loss"], noise, [last for last in windows if last <= trace.iterations])
