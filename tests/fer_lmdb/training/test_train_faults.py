"""Fault tolerance of training: damaged files, full disks, wrong clocks, signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import prototxt_like as pl
from fer_lmdb.data import manifest
from fer_lmdb.errors import DataSetError, FerLmdbError, RunError
from fer_lmdb.models import run_folder
from fer_lmdb.training import train
from fer_lmdb.training.distributed import ProcessGroup
from fer_lmdb.training.snapshot import Snapshot
from prototxt_like.errors import PrototxtLikeError


@pytest.fixture
def data(stripes_data: Path, tmp_path: Path) -> Path:
    """A copy of the data set."""
    return Path(shutil.copytree(stripes_data, tmp_path / "data"))


def rewrite(folder: Path, **changes: object) -> None:
    document = manifest.read_manifest(folder) | changes
    manifest.write_manifest(folder, document)


def test_a_mean_of_another_size(options, data: Path, tmp_path: Path) -> None:
    pl.write_mean(np.full((1, 40, 40), 128, np.float32), data / "mean.binaryproto")
    rewrite(data, mean={"file": "mean.binaryproto", "sha256": manifest.file_sha256(data / "mean.binaryproto")})
    with pytest.raises((FerLmdbError, PrototxtLikeError), match=r"40 x 40.*48 x 48|48 x 48.*40 x 40"):
        train.train(replace(options, data=str(data), epochs=1), tmp_path / "run")


@pytest.mark.parametrize("name", ["mean.binaryproto", "manifest.json", "train_lmdb/data.mdb", "val_lmdb/data.mdb"])
@pytest.mark.parametrize("harm", ["missing", "empty", "half", "folder"])
def test_a_missing_or_truncated_file_of_the_data_set(options, data: Path, tmp_path: Path, name: str, harm: str) -> None:
    path = data / name
    content = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm != "missing":
        path.write_bytes(content[: len(content) // 2 if harm == "half" else 0])
    with pytest.raises(DataSetError) as failure:
        train.train(replace(options, data=str(data), epochs=1), tmp_path / "run")
    assert "\n" not in str(failure.value)
    assert Path(name).parts[0] in str(failure.value) or str(data) in str(failure.value)


@pytest.mark.parametrize("part", [0.0001, 0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_snapshot_is_rejected(trained, tmp_path: Path, part: float) -> None:
    run = Path(shutil.copytree(trained.run.path, tmp_path / "run"))
    content = (run / "snapshot.safetensors").read_bytes()
    (run / "snapshot.safetensors").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(RunError, match="damaged") as failure:
        train.resume(run)
    assert "\n" not in str(failure.value)


def test_partial_files_are_ignored(options, trained, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.run.path, tmp_path / "run"))
    (run / "snapshot.safetensors.99.partial").write_bytes(b"half")
    (run / "best.safetensors.partial").write_bytes(b"half")
    assert train.resume(run).finished


def test_the_folder_of_a_net_is_not_overwritten_by_a_run(options, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(options.model, "mine")
    before = {path.name: path.read_bytes() for path in Path("mine").iterdir()}
    changed = replace(options, model="mine", epochs=1)
    with pytest.raises(RunError, match="would be overwritten"):
        train.train(changed, Path("mine").resolve())
    with pytest.raises(FerLmdbError, match="no model"):
        train.train(replace(changed, teachers=["missing"]), "mine")
    assert train.train(changed, "mine").run.path == run_folder.RUNS / "mine"
    assert {path.name: path.read_bytes() for path in Path("mine").iterdir()} == before


def test_a_concurrent_start_of_the_same_run_is_rejected(options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with train._start_run(options, run, None, ProcessGroup()):
        other = subprocess.run(command(options, run), capture_output=True, text=True)
        assert other.returncode == 1
        assert "already contains a run" in other.stderr
        assert (run / "run.json").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    with run_folder.RunFolder(empty).lock():  # the first one has not written anything yet
        other = subprocess.run(command(options, empty), capture_output=True, text=True)
        assert other.returncode == 1
        assert "another process is training this run" in other.stderr


def command(options, run: Path) -> list[str]:
    flags = [
        "--model",
        options.model,
        "--data",
        options.data,
        "--epochs",
        "500",
        "--batch-size",
        "15",
        "--device",
        "cpu",
    ]
    return [sys.executable, "-m", "fer_lmdb", "train", *flags, "--run", str(run)]


def test_a_run_with_unknown_options_is_one_error_line(trained, tmp_path: Path) -> None:
    run = run_folder.RunFolder(Path(shutil.copytree(trained.run.path, tmp_path / "run")))
    config = run.read_config()
    run.write_config({**config, "options": {**config["options"], "hue": 0.1}})
    with pytest.raises(RunError, match=r"unknown or missing options .*hue"):
        train.resume(run.path)
    run.write_config({key: value for key, value in config.items() if key != "epoch_size"})
    with pytest.raises(RunError, match="epoch_size"):
        train.resume(run.path)


def test_a_diverged_net_replaces_neither_model_nor_snapshot(options, tmp_path: Path, monkeypatch) -> None:
    """The loss of an iteration is computed before its update, so weights are checked as well."""
    step = train.Trainer.step

    def step_too_far(trainer):
        result = step(trainer)
        if trainer.iteration == 20:
            trainer.net.params["conv1"][0].data.fill_(float("nan"))
        return result

    monkeypatch.setattr(train.Trainer, "step", step_too_far)
    with pytest.raises(RunError, match=r"conv1/0 became nan at iteration 20; try a lower learning rate"):
        train.train(options, tmp_path / "run")
    run = run_folder.RunFolder(tmp_path / "run")
    assert Snapshot.read(run).metadata["iteration"] == 10
    assert [record["epoch"] for record in run.read_log()] == [1]
    for model in (run.best, run.last):
        assert all(torch.isfinite(blob).all() for blob in load_file(model).values())


def test_a_full_disk_leaves_the_last_snapshot_intact(options, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        first = train.train(replace(options, epochs=1), disk / "run")
        before = first.run.snapshot.read_bytes()
        config = first.run.read_config()
        first.run.write_config(config)
        fill(disk)
        with pytest.raises((FerLmdbError, OSError)) as failure:
            train.train(replace(options, epochs=1), disk / "second")
        assert "space" in str(failure.value)
        assert first.run.snapshot.read_bytes() == before
        assert not list(disk.glob("*/*.partial"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Fill the disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            return


def test_a_clock_that_was_set_back(options, trained, tmp_path: Path, monkeypatch) -> None:
    """Killed in the last epoch, resumed with the clock a day behind: same log, no gaps or duplicates in curves."""
    step, snapshot = train.Trainer.step, tmp_path / "run" / "snapshot.safetensors"

    def step_and_keep(trainer):
        if trainer.iteration == 25:
            shutil.copy(snapshot, tmp_path / "kept")
        return step(trainer)

    monkeypatch.setattr(train.Trainer, "step", step_and_keep)
    train.train(options, tmp_path / "run")
    shutil.move(tmp_path / "kept", snapshot)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86_400)
    resumed = train.resume(tmp_path / "run")
    assert resumed.finished
    assert resumed.log == trained.log
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [point.step for point in events.Scalars("val/accuracy")] == [10, 20, 30]


def test_the_latest_run_is_found_with_a_wrong_clock(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = run_folder.create_run("late", "net")
    folder.write_config({})
    assert run_folder.latest_run().name == "late"


def test_sigterm_saves_a_snapshot(options, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(options, tmp_path / "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (tmp_path / "run" / "log.jsonl").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Stopped and saved" in out
    assert "Traceback" not in err
    assert not list((tmp_path / "run").glob("*partial*"))
    facts = Snapshot.read(run_folder.RunFolder(tmp_path / "run")).metadata
    assert facts["iteration"] == int(out.split("iteration ")[1].split()[0])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["epochs"] == 500
