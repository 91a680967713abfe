"""Snapshot files: round trip, atomic replacement, damaged files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from fer_lmdb.errors import RunError
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import snapshot
from fer_lmdb.training.snapshot import Snapshot


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_snapshot_is_read_back_unchanged(run):
    tensors = {"a": torch.randn(3, 5), "b": torch.arange(4, dtype=torch.float64)}
    Snapshot(tensors, {"iteration": 7, "loss": 0.1}).write(run)
    found = Snapshot.read(run)
    assert found.metadata == {"iteration": 7, "loss": 0.1}
    assert all(torch.equal(found.tensors[key], tensor) for key, tensor in tensors.items())
    assert [path.name for path in run.path.iterdir()] == ["snapshot.safetensors"]


def test_a_failed_write_leaves_the_old_snapshot(run, monkeypatch):
    Snapshot({"a": torch.zeros(1)}, {"iteration": 1}).write(run)

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(snapshot, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        Snapshot({"a": torch.ones(1)}, {"iteration": 2}).write(run)
    assert Snapshot.read(run).metadata["iteration"] == 1
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
        {"a": torch.ones(2)}, run.snapshot, metadata={"format": snapshot.SNAPSHOT_FORMAT, "facts": '{"iteration": 3}'}
    )
    assert Snapshot.read(run).metadata == {"iteration": 3}
