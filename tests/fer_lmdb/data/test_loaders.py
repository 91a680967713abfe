"""Streamed and in-memory training give identical results."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_lmdb.cli import main
from fer_lmdb.data import loaders
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.loaders import LoaderOptions, ValidationSet
from fer_lmdb.errors import RunError
from fer_lmdb.training import train

STREAM = LoaderOptions("stream", workers=1, start_method="fork")


def assert_equal_weights(one: Path, other: Path) -> None:
    weights, others = load_file(one / "last.safetensors"), load_file(other / "last.safetensors")
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[key], others[key]) for key in weights)


def test_streamed_training_gives_identical_weights(options, trained, tmp_path):
    streamed = train.train(options, tmp_path / "run", loaders=STREAM)
    assert streamed.log == trained.log
    assert_equal_weights(streamed.run.path, trained.run.path)


def test_a_run_resumes_with_the_other_loader(options, trained, tmp_path, monkeypatch):
    step = train.Trainer.step

    def step_then_stop(session):
        result = step(session)
        if session.iteration == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(train.Trainer, "step", step_then_stop)
    train.train(options, tmp_path / "run")
    monkeypatch.setattr(train.Trainer, "step", step)
    assert train.resume(tmp_path / "run", loaders=STREAM).log == trained.log
    assert_equal_weights(tmp_path / "run", trained.run.path)


def test_train_and_val_are_streamed_together(options, tmp_path):
    both = replace(options, train_splits="train+val", epochs=1)
    streamed = train.train(both, tmp_path / "stream", loaders=replace(STREAM, workers=0))
    in_memory = train.train(both, tmp_path / "memory")
    assert_equal_weights(streamed.run.path, in_memory.run.path)


def test_large_data_is_streamed_by_default(stripes_data, monkeypatch):
    data = DataSet.open(stripes_data)
    assert not LoaderOptions().should_stream(data, ["train"])
    monkeypatch.setattr(loaders, "MEMORY_BOUND", 150 * 48 * 48)
    assert not LoaderOptions().should_stream(data, ["train"])
    assert LoaderOptions().should_stream(data, ["train", "val"])
    assert not LoaderOptions("memory").should_stream(data, ["train", "val"])


@pytest.mark.parametrize("streamed", [False, True])
def test_validation_chunks(stripes_data, streamed):
    data = DataSet.open(stripes_data)
    validation = ValidationSet.of(data, "val", streamed=streamed)
    expected = data.read("val")
    assert (validation.labels == expected.labels).all()
    assert (validation.chunk(slice(5, 31)) == expected.images[5:31]).all()


@pytest.mark.parametrize(("change", "message"), [({"loader": "disk"}, '--loader "disk"'), ({"workers": -1}, "-1")])
def test_invalid_options_are_rejected(change, message):
    with pytest.raises(RunError, match=message):
        LoaderOptions(**change)


def test_offline_distillation_needs_the_data_in_memory(options, trained, tmp_path):
    distilled = replace(options, epochs=1, teachers=[str(trained.run.path)])
    with pytest.raises(RunError, match="--distill-mode online"):
        train.train(distilled, tmp_path / "run", loaders=STREAM)


def test_resume_accepts_another_loader_but_not_another_recipe(trained, tmp_path, capsys):
    run = shutil.copytree(trained.run.path, tmp_path / "run")
    with pytest.raises(SystemExit) as done:
        main(["train", "--resume", "--run", str(run), "--loader", "stream", "--workers", "0"])
    assert done.value.code == 0
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--resume", "--run", str(run), "--workers", "0", "--batch-size", "3"])
    assert exit_.value.code == 2
    assert "remove --batch-size" in capsys.readouterr().err


def running_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path(f"/proc/{os.getpid()}/task").exists(), reason="needs Linux's /proc")
def test_workers_exit_when_the_command_is_killed(options, tmp_path):
    command = [sys.executable, "-m", "fer_lmdb", "train", "--run", str(tmp_path / "run"), "--loader", "stream"]
    command += [
        "--workers",
        "1",
        "--model",
        options.model,
        "--data",
        options.data,
        "--epochs",
        "500",
        "--batch-size",
        "15",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None and not (tmp_path / "run" / "snapshot.safetensors").exists():
            time.sleep(0.05)
        workers = running_children(process.pid)
    finally:
        process.kill()
        process.wait()
    assert workers
    deadline = time.monotonic() + 60
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(worker) for worker in workers)
