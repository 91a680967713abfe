"""Snapshot files: round trip, atomic replacement, damaged files."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from fer_lmdb.errors import RunError
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import snapshot
from fer_lmdb.training.snapshot import Snapshot

STATE = {
    "iteration": 7,
    "loss_count": 0,
    "log": [],
    "best": None,
    "solver": {"iteration": 7, "losses": [0.5], "plain": {}},
}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_snapshot_is_read_back_unchanged(run):
    tensors = {"a": torch.randn(3, 5), "b": torch.arange(4, dtype=torch.float64)}
    Snapshot(tensors, STATE | {"loss": 0.1}).write(run)
    found = Snapshot.read(run)
    assert found.metadata == STATE | {"loss": 0.1}
    assert all(torch.equal(found.tensors[key], tensor) for key, tensor in tensors.items())
    assert [path.name for path in run.path.iterdir()] == ["snapshot.safetensors"]


def test_a_failed_write_leaves_the_old_snapshot(run, monkeypatch):
    Snapshot({"a": torch.zeros(1)}, STATE).write(run)

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("fer_lmdb.io.tensors.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        Snapshot({"a": torch.ones(1)}, STATE | {"iteration": 2}).write(run)
    assert Snapshot.read(run).metadata["iteration"] == 7
    assert not list(run.path.glob("*.partial"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_snapshot_is_one_clear_error(run, content):
    run.snapshot.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        Snapshot.read(run)


def test_a_run_without_a_snapshot_has_none(run):
    assert Snapshot.read(run) is None


def test_a_snapshot_of_version_0_1_0_is_read(run):
    save_file(
        {"a": torch.ones(2)}, run.snapshot, metadata={"format": snapshot.SNAPSHOT_FORMAT, "facts": json.dumps(STATE)}
    )
    assert Snapshot.read(run).metadata == STATE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iteration": "7"}, "metadata.iteration: found '7', expected an integer"),
        ({"iteration": -1}, "metadata.iteration: found -1, expected at least 0"),
        ({"log": [{"epoch": 1}]}, "metadata.log.0.iteration: found none, expected one"),
        (
            {"solver": {"iteration": 7, "losses": [None], "plain": {}}},
            "metadata.solver.losses.0: found None",
        ),
        ({"solver": 3}, "metadata.solver: found 3, expected an object"),
    ],
)
def test_a_state_that_does_not_match_is_an_error(run, change, said):
    Snapshot({"a": torch.zeros(1)}, STATE | change).write(run)
    with pytest.raises(RunError, match=rf"snapshot.safetensors: damaged: {said}.*; delete it to restart the run"):
        Snapshot.read(run)


def test_a_foreign_safetensors_file_is_no_snapshot(run):
    save_file({"a": torch.ones(2)}, run.snapshot)
    with pytest.raises(RunError, match="damaged: format: found none, expected one"):
        Snapshot.read(run)
