from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.models import run_folder
from fer_lmdb.models.run_folder import RunFolder, Snapshot


@pytest.fixture
def folder(tmp_path, monkeypatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    folder = run_folder.create_run(None, "net")
    folder.write_config({"options": {}})
    return folder


def test_a_snapshot_comes_back_as_it_was(folder):
    tensors = {"a": torch.randn(3, 5), "b": torch.arange(4, dtype=torch.float64)}
    folder.write_snapshot(Snapshot(tensors, {"iteration": 7, "loss": 0.1}))
    back = folder.read_snapshot()
    assert back.metadata == {"iteration": 7, "loss": 0.1}
    assert all(torch.equal(back.tensors[key], tensor) for key, tensor in tensors.items())
    assert sorted(path.name for path in folder.path.iterdir()) == ["run.json", "snapshot.safetensors"]


def test_a_snapshot_that_fails_leaves_the_old_one(folder, monkeypatch):
    folder.write_snapshot(Snapshot({"a": torch.zeros(1)}, {"iteration": 1}))

    def break_off(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(run_folder, "save_file", break_off)
    with pytest.raises(OSError, match="disk full"):
        folder.write_snapshot(Snapshot({"a": torch.ones(1)}, {"iteration": 2}))
    assert folder.read_snapshot().metadata["iteration"] == 1
    assert not list(folder.path.glob("*.partial"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_snapshot_is_one_clear_error(folder, content):
    folder.snapshot.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        folder.read_snapshot()


def test_numbers_count_up_and_a_run_is_never_overwritten(folder):
    assert folder.name == "net-001"
    assert run_folder.create_run(None, "net").name == "net-002"
    with pytest.raises(RunError, match="--resume"):
        run_folder.create_run("net-001", "net")


def test_a_bare_name_lies_below_runs_and_a_path_where_it_says(folder, tmp_path):
    assert run_folder.resolve_run("net-001").path == run_folder.RUNS / "net-001"
    assert run_folder.resolve_run(tmp_path / "x").path == tmp_path / "x"
    assert run_folder.resolve_run("runs/net-001").path == run_folder.RUNS / "net-001"
    assert run_folder.latest_run().name == "net-001"


def test_a_bare_name_is_no_folder_of_something_else(folder):
    Path("net").mkdir()
    assert run_folder.resolve_run("net").path == run_folder.RUNS / "net"
    Path("old").mkdir()
    Path("old/run.json").write_text("{}")
    assert run_folder.resolve_run("old").path == Path("old")


@pytest.mark.parametrize("name", ["solver.prototxt", "deploy.prototxt", "best.safetensors", "log.jsonl"])
def test_a_folder_with_files_that_a_run_would_replace_is_refused(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=f"is no run, and its {name} would be replaced; choose another --run"):
        run_folder.create_run(tmp_path, "net")
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["a.txt", "a.txt/run"])
def test_a_file_in_the_place_of_a_run_is_told_of(tmp_path, name):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(RunError, match="a file is where a run's folder has to be; choose another --run name"):
        run_folder.create_run(tmp_path / name, "net")


def test_a_number_that_is_taken_at_this_moment_is_left(folder):
    """Another process has made the folder, and not yet written its run.json."""
    (run_folder.RUNS / "net-002").mkdir()
    assert run_folder.create_run(None, "net").name == "net-003"


def test_the_newest_run_is_the_one_that_trained_last_and_not_the_one_measured_last(folder):
    folder.write_snapshot(Snapshot({"a": torch.zeros(1)}, {}))
    newer = run_folder.create_run(None, "net")
    newer.write_config({})
    os.utime(folder.snapshot, (1000, 1000))
    os.utime(newer.config, (2000, 2000))
    folder.append_evaluation({"models": ["a"]})
    assert run_folder.latest_run().name == newer.name


def test_processes_that_record_at_once_lose_nothing(folder):
    script = (
        "import sys; from pathlib import Path; from fer_lmdb.models.run_folder import RunFolder\n"
        "for i in range(40): RunFolder(Path(sys.argv[1])).append_evaluation({'models': ['a'], 'i': i, 'x': 'x' * 9999})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(folder.path)]) for _ in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert len(folder.evaluations.read_text().splitlines()) == 120
    assert len(folder.read_evaluations()) == 1


def test_figures_of_a_best_model_that_was_replaced_are_left_out(folder):
    save_file({"a": torch.zeros(1)}, folder.best, metadata={"metadata": json.dumps({"epoch": {"iteration": 9}})})
    record = {"models": ["run"], "split": "val", "tta": 1}
    for iteration in (4, 9, None):
        folder.append_evaluation({**record, "tta": iteration or 2, "iterations": [iteration]})
    assert [found["iterations"] for found in folder.read_evaluations()] == [[None], [9]]


def test_float32_goes_before_a_newer_figure_in_another_precision(folder):
    for precision in ("float32", "bfloat16"):
        folder.append_evaluation({"models": ["run"], "split": "val", "tta": 1, "precision": precision})
    assert [found["precision"] for found in folder.read_evaluations()] == ["float32"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no run\.json"):
        RunFolder(tmp_path).read_config()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize("text", ['{"data": [1]}', '{"options": "none"}', '{"data": {"sha256": 3}}'])
def test_a_table_that_is_none_is_one_clear_error(folder, text):
    folder.config.write_text(text)
    with pytest.raises(RunError, match=r"run.json: damaged .*expected an object"):
        folder.read_config()


@pytest.mark.parametrize("content", ["{", "[]", "3\n", "[" * 100_000, "\xff", '{"split": "val"}\nhalf'])
@pytest.mark.parametrize("name", ["run.json", "log.jsonl", "evaluations.jsonl"])
def test_a_damaged_text_file_is_one_clear_error(folder, name, content):
    (folder.path / name).write_text(content, encoding="latin-1")
    readers = {
        "run.json": folder.read_config,
        "log.jsonl": folder.read_log,
        "evaluations.jsonl": folder.read_evaluations,
    }
    read = readers[name]
    with pytest.raises(RunError, match=f"{name}: damaged") as failure:
        read()
    assert "\n" not in str(failure.value)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_others_may_read_a_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_file(tmp_path / "model.safetensors") as partial:
            save_file({"a": torch.zeros(2)}, partial)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644
