"""Tests of `python -m prototxt_like train`: log, losses, snapshots and signals."""

from __future__ import annotations

import lzma
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.solver import training_loop
from prototxt_like.solver.training_loop import Action
from prototxt_like.tools.command_line import main
from prototxt_like.tools.signal_actions import SignalActions
from tests.archives import unpack
from tests.prototxt_like.tools import caffe_log


@pytest.fixture
def plain_arithmetic() -> Iterator[None]:
    """Without oneDNN, whose weight gradients round differently from Caffe's matrix products."""
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield


def messages(log: str) -> list[str]:
    return [caffe_log.PREFIX.sub("", line) for line in log.splitlines()]


def test_log_is_read_by_the_patterns_of_parse_log(solver: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-solver", str(solver)]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    train, test = caffe_log.parse(captured.err)
    assert list(train) == [0, 1, 2, 3] and list(test) == [0, 2, 4]
    assert [row["lr"] for row in train.values()] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert set(test[0]) == {"accuracy", "loss"} and set(train[0]) == {"loss", "lr"}


def test_log_lines_are_those_of_caffe(solver: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["train", f"--solver={solver}"])
    lines = messages(capfd.readouterr().err)
    start = lines.index("Solving tiny")
    number = r"[-+.\de]+"
    prefix = re.escape(str(solver.parent / "snaps/tiny_iter_2"))
    expected = [
        "Solving tiny",
        "Learning Rate Policy: step",
        r"Iteration 0, Testing net \(#0\)",
        rf"    Test net output #0: accuracy = {number}",
        rf"    Test net output #1: loss = {number} \(\* 0.5 = {number} loss\)",
        rf"Iteration 0 \({number} iter/s, {number}s/1 iters\), loss = {number}",
        rf"    Train net output #0: loss = {number} \(\* 0.5 = {number} loss\)",
        r"Iteration 0, lr = 0.1",
        rf"Iteration 1 \({number} iter/s, {number}s/1 iters\), loss = {number}",
        rf"    Train net output #0: loss = {number} \(\* 0.5 = {number} loss\)",
        r"Iteration 1, lr = 0.1",
        rf"Snapshotting to binary proto file {prefix}.caffemodel",
        rf"Snapshotting solver state to binary proto file {prefix}.solverstate",
    ]
    for line, pattern in zip(lines[start:], expected, strict=False):
        assert re.fullmatch(pattern, line), line
    assert lines[-2:] == ["Optimization Done."] * 2
    assert any(re.fullmatch(rf"Iteration 4, loss = {number}", line) for line in lines)


def test_resumed_training_ends_as_an_uninterrupted_one(solver: Path, tmp_path: Path) -> None:
    net = (tmp_path / "net.prototxt").read_text().replace("gaussian", "constant")
    (tmp_path / "net.prototxt").write_text(net)
    assert main(["train", "-solver", str(solver)]) == 0
    whole = (tmp_path / "snaps/tiny_iter_4.caffemodel").read_bytes()
    assert main(["train", "-solver", str(solver), "-snapshot", str(tmp_path / "snaps/tiny_iter_2.solverstate")]) == 0
    assert (tmp_path / "snaps/tiny_iter_4.caffemodel").read_bytes() == whole


def test_weights_of_several_files_are_copied_in_order(solver: Path, tmp_path: Path) -> None:
    net = pl.Net(tmp_path / "net.prototxt", phase="TRAIN")
    for value, name in ((1.0, "a"), (2.0, "b")):
        with torch.no_grad():
            net.params["ip"][0].fill_(value)
        pl.save_weights(net, tmp_path / f"{name}.caffemodel")
    parameter = pl.read_solver(solver)
    parameter.weights.append(f"{tmp_path}/a.caffemodel, {tmp_path}/b.caffemodel")
    loop = training_loop.TrainingLoop(parameter, tmp_path)
    assert loop.train_net.net.params["ip"][0].unique().tolist() == [2.0]


def test_test_nets_use_the_weights_of_the_train_net(solver: Path, tmp_path: Path) -> None:
    loop = training_loop.TrainingLoop(pl.read_solver(solver), tmp_path)
    loop.test_all()
    loop.step(1)
    assert loop.test_nets[0].net.params["ip"][0] is loop.train_net.net.params["ip"][0]


def test_requests_stop_and_write_snapshots(solver: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    requests = [Action.NONE] * 3 + [Action.SNAPSHOT, Action.NONE, Action.NONE, Action.NONE, Action.NONE, Action.STOP]
    parameter = pl.read_solver(solver)
    parameter.snapshot = 0
    parameter.max_iter = 100
    training_loop.TrainingLoop(
        parameter, tmp_path, requested_action=lambda: requests.pop(0) if requests else Action.NONE
    ).solve()
    assert sorted(path.name for path in (tmp_path / "snaps").glob("*.caffemodel")) == [
        "tiny_iter_1.caffemodel",
        "tiny_iter_3.caffemodel",
    ]
    assert messages(capfd.readouterr().err)[-1] == "Optimization stopped early."


def test_fields_without_effect_are_named(solver: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parameter = pl.read_solver(solver)
    parameter.debug_info = True
    training_loop.TrainingLoop(parameter, tmp_path)
    assert "debug_info of the solver has no effect" in messages(capfd.readouterr().err)


def test_signals_become_requests() -> None:
    before = signal.getsignal(signal.SIGINT)
    with SignalActions("stop", "snapshot") as actions:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
        assert [actions.next_action() for _ in range(3)] == [Action.SNAPSHOT, Action.STOP, Action.NONE]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "need a solver definition to train; pass -solver FILE"),
        (["-solver", "s", "-snapshot", "a", "-weights", "b"], 2, "but not both"),
        (["-solver", "missing.prototxt"], 1, "missing.prototxt: cannot be read: No such file or directory"),
        (["-solvr", "s"], 2, "unknown command line flag 'solvr'; did you mean \"solver\"?"),
    ],
)
def test_errors_are_one_line(arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *arguments]) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("F") and message in line


@pytest.mark.parametrize("name", ["sgd200", "adam50t"])
def test_losses_of_the_golden_traces(
    shared: Path, tmp_path: Path, name: str, plain_arithmetic: None, capfd: pytest.CaptureFixture[str]
) -> None:
    caffe = shared / "golden/caffe"
    for database in ("train", "test"):
        unpack(caffe / f"img_{database}_lmdb.tar.xz", tmp_path)
    (tmp_path / "init.caffemodel").write_bytes(lzma.decompress((caffe / "init.caffemodel.xz").read_bytes()))
    (tmp_path / "net.prototxt").write_text(_trace_net(caffe / "train_mean.binaryproto"))
    rule = (
        'type: "Adam" base_lr: 0.001 momentum: 0.9 momentum2: 0.999'
        if "adam" in name
        else "base_lr: 0.01 momentum: 0.9"
    )
    (tmp_path / "solver.prototxt").write_text(
        f'net: "net.prototxt" {rule} weight_decay: 0.0005 lr_policy: "multistep" gamma: 0.1 stepvalue: 120 max_iter: 5 '
        "display: 1 test_iter: 1 test_interval: 9 test_initialization: false snapshot_after_train: false"
    )
    solver, weights = tmp_path / "solver.prototxt", tmp_path / "init.caffemodel"
    assert main(["train", "-solver", str(solver), "-weights", str(weights)]) == 0
    losses = [row["loss"] for row in caffe_log.parse(capfd.readouterr().err)[0].values()]
    with np.load(caffe / f"trace_{name}.npz") as golden, np.load(caffe / "noise_floor_losses.npz") as floor:
        noise = np.abs(floor[f"{name}/loss_1thread"] - golden["loss"])[:5].max()
        np.testing.assert_allclose(losses, golden["loss"][:5], rtol=0, atol=3 * noise + 5e-6)  # 6 digits are printed


def _trace_net(mean: Path) -> str:
    """FaceEmotionNet of the traces, 48 x 48 without dropout and mirroring; its files lie beside it."""
    net = pl.read_net(pl.zoo.path("face_emotion_net") / "train_val.prototxt")
    for layer in net.layer:
        layer.dropout_param.dropout_ratio = 0
        if layer.type == "Data":
            layer.transform_param.Clear()
            layer.transform_param.mean_file = str(mean)
            layer.data_param.source = "img_train_lmdb" if "train" in layer.data_param.source else "img_test_lmdb"
        else:
            layer.ClearField("transform_param")
        if layer.type != "Dropout":
            layer.ClearField("dropout_param")
    return pl.to_text(net)
