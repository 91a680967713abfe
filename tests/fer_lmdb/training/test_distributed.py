"""Several processes, or several batches per update, are equivalent to one large batch."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.errors import RunError
from fer_lmdb.training import train
from fer_lmdb.training.distributed import ProcessGroup
from fer_lmdb.training.snapshot import Snapshot

# Nothing random and no BatchNorm: what is left is the arithmetic of the batch.
DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {0} }}
  transform_param {{ mean_value: 128 scale: 0.02 }} data_param {{ batch_size: 20 }} }}
"""
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 48 dim: 48 } } }\n'
BODY = """layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 6 kernel_size: 9 stride: 4 weight_filler {{ type: "msra" }} }} }}
{0}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
"""
NORM = 'layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
PROB = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
SOLVER = 'base_lr: 0.02 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed" max_iter: 24 display: 4\n'


def write_net(folder: Path, *, norm: str = "", solver: str = "clip_gradients: 5") -> str:
    folder.mkdir()
    body = BODY.format(norm)
    (folder / "train_val.prototxt").write_text(DATA.format("TRAIN") + DATA.format("TEST") + body + LOSS)
    (folder / "deploy.prototxt").write_text(INPUT + body + PROB)
    (folder / "solver.prototxt").write_text(SOLVER + solver)
    return str(folder)


@pytest.fixture(scope="module")
def plain(options, tmp_path_factory) -> train.TrainOptions:
    """A training of 3 epochs, 8 iterations each, whose batches have 20 faces."""
    net = write_net(tmp_path_factory.mktemp("nets") / "plain")
    return replace(options, model=net, epochs=3, batch_size=20)


@pytest.fixture(scope="module")
def alone(plain, tmp_path_factory):
    return train.train(plain, tmp_path_factory.mktemp("runs") / "alone")


def member(rank: int, size: int, port: int, work, arguments) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    work(*arguments)


def start(size: int, work, *arguments) -> list:
    """Start processes with the environment that torchrun sets."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    members = [context.Process(target=member, args=(rank, size, port, work, arguments)) for rank in range(size)]
    for process in members:
        process.start()
    return members


def together(size: int, work, *arguments) -> None:
    members = start(size, work, *arguments)
    for process in members:
        process.join(timeout=120)
    assert [process.exitcode for process in members] == [0] * size


def curve(run: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def assert_close(one: Path, other: Path) -> None:
    """Weights and losses are equal up to the order of summation."""
    weights, others = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    for key, value in weights.items():
        torch.testing.assert_close(value, others[key], rtol=1e-4, atol=1e-5)
    for record, expected in zip(train.RunFolder(one).read_log(), train.RunFolder(other).read_log(), strict=True):
        assert record == pytest.approx(expected, rel=1e-4)
    for tag in ("train/loss", "val/loss"):
        found, expected = np.array(curve(one, tag)), np.array(curve(other, tag))
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_iter_size_2_equals_a_batch_of_twice_the_size(plain, alone, tmp_path):
    net = write_net(tmp_path / "net", solver="iter_size: 2 clip_gradients: 10")  # Caffe clips the sum of both
    result = train.train(replace(plain, model=net, batch_size=10), tmp_path / "run")
    assert [record["iteration"] for record in result.log] == [8, 15, 23]
    assert_close(tmp_path / "run", alone.run.path)


def train_with(options: train.TrainOptions, run: Path, loaders: LoaderOptions) -> None:
    train.train(options, run, loaders=loaders)


@pytest.mark.parametrize("loader", ["memory", "stream"])
def test_two_processes_match_one_process(plain, alone, tmp_path, loader):
    together(2, train_with, plain, tmp_path / "run", LoaderOptions(loader, workers=0))
    assert_close(tmp_path / "run", alone.run.path)
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


def train_and_tell(options: train.TrainOptions, run: Path, told: Path) -> None:
    """Train; write the final state of this process."""
    trainers = []
    build = train.build_trainer
    train.build_trainer = lambda *args: trainers.append(build(*args)) or trainers[-1]
    train.train(options, run)
    state = {key: value.double().sum().item() for key, value in trainers[0].net.state_dict().items()}
    (told / os.environ["RANK"]).write_text(json.dumps({"state": state, "log": trainers[0].log}))


def test_all_processes_end_with_identical_state_and_log(plain, tmp_path):
    net = write_net(tmp_path / "net", norm=NORM, solver="ema_decay: 0.9 mixup: 0.4")
    (tmp_path / "told").mkdir()
    together(3, train_and_tell, replace(plain, model=net, batch_size=21), tmp_path / "run", tmp_path / "told")
    one, *others = [json.loads((tmp_path / "told" / str(rank)).read_text()) for rank in range(3)]
    assert others == [one, one]
    assert any("mean_sum" in key for key in one["state"])


def train_and_stop(options: train.TrainOptions, run: Path, at: int) -> None:
    """Train; the second process gets SIGTERM after this many iterations."""
    step = train.Trainer.step

    def step_then_stop(trainer):
        result = step(trainer)
        if trainer.iteration == at and trainer.process_group.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    train.Trainer.step = step_then_stop
    assert train.train(options, run).iteration == at


def test_resume_with_another_number_of_processes(plain, alone, tmp_path):
    run = tmp_path / "run"
    together(2, train_and_stop, plain, run, 5)
    assert int(Snapshot.read(train.RunFolder(run)).metadata["iteration"]) == 5
    together(4, train.resume, run)
    assert_close(run, alone.run.path)


def train_and_die(options: train.TrainOptions, run: Path, told: Path, at: int) -> None:
    """Train; the second process is killed after this many iterations, the first writes its error."""
    step = train.Trainer.step

    def step_then_die(trainer):
        if trainer.iteration == at and trainer.process_group.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(trainer)

    train.Trainer.step = step_then_die
    try:
        train.train(options, run)
    except RunError as error:
        told.write_text(str(error))


def test_a_killed_process_ends_the_run_with_one_error_and_a_valid_snapshot(plain, alone, tmp_path):
    run = tmp_path / "run"
    members = start(2, train_and_die, plain, run, tmp_path / "told", 11)
    for process in members:
        process.join(timeout=120)
    assert [process.exitcode for process in members] == [0, -signal.SIGKILL]
    message = (tmp_path / "told").read_text()
    assert message.startswith("lost contact with another training process")
    assert "\n" not in message
    assert "/" not in message.split("(")[1]  # no path of gloo's sources
    assert int(Snapshot.read(train.RunFolder(run)).metadata["iteration"]) == 8
    assert train.resume(run).finished
    assert_close(run, alone.run.path)


def test_an_indivisible_batch_size_is_rejected():
    with pytest.raises(RunError, match=r"batch size 20 is not divisible by the number of processes \(3\)"):
        ProcessGroup(0, 3).local_batch_size(20)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_rank_slices_cover_all_items_once(size):
    places = list(range(20))
    assert [place for rank in range(size) for place in places[ProcessGroup(rank, size).rank_slice(20)]] == places


def torchrun(run: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["-m", "--", "fer_lmdb", "train", "--run", str(run), *flags]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_torchrun_trains_one_run_and_one_process_prints(plain, alone, tmp_path):
    flags = ["--model", plain.model, "--data", plain.data, "--epochs", "3", "--batch-size", "20", "--device", "cpu"]
    done = torchrun(tmp_path / "run", *flags, "--precision", "float32", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finished"]
    assert done.stderr.count("epoch   3") == 1
    assert_close(tmp_path / "run", alone.run.path)
