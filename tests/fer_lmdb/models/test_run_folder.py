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
from fer_lmdb.models.evaluation_log import append_evaluation, read_evaluations
from fer_lmdb.models.run_folder import RunFolder

METRICS = {"models": ["run"], "split": "val", "tta": 1, "n": 2, "accuracy": 0.5, "ci95": [0.1, 0.9]}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    folder = run_folder.create_run(None, "net")
    folder.write_config({"options": {}, "epoch_size": 9})
    return folder


def test_run_numbers_increase_and_a_run_is_never_overwritten(folder):
    assert folder.name == "net-001"
    assert run_folder.create_run(None, "net").name == "net-002"
    with pytest.raises(RunError, match="--resume"):
        run_folder.create_run("net-001", "net")


def test_a_bare_name_is_in_runs_and_a_path_is_used_directly(folder, tmp_path):
    assert run_folder.resolve_run("net-001").path == run_folder.RUNS / "net-001"
    assert run_folder.resolve_run(tmp_path / "x").path == tmp_path / "x"
    assert run_folder.resolve_run("runs/net-001").path == run_folder.RUNS / "net-001"
    assert run_folder.latest_run().name == "net-001"


def test_a_bare_name_is_not_an_unrelated_folder(folder):
    Path("net").mkdir()
    assert run_folder.resolve_run("net").path == run_folder.RUNS / "net"
    Path("old").mkdir()
    Path("old/run.json").write_text('{"options": {}, "epoch_size": 9}')
    assert run_folder.resolve_run("old").path == Path("old")


@pytest.mark.parametrize("name", ["solver.prototxt", "deploy.prototxt", "best.safetensors", "log.jsonl"])
def test_a_folder_with_files_that_a_run_would_overwrite_is_rejected(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=f"is not a run, and its {name} would be overwritten; set another --run"):
        run_folder.create_run(tmp_path, "net")
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["a.txt", "a.txt/run"])
def test_a_file_instead_of_a_run_folder_is_an_error(tmp_path, name):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(RunError, match="found a file, expected a folder; set another --run name"):
        run_folder.create_run(tmp_path / name, "net")


def test_a_folder_that_another_process_just_created_is_skipped(folder):
    """Its run.json does not exist yet."""
    (run_folder.RUNS / "net-002").mkdir()
    assert run_folder.create_run(None, "net").name == "net-003"


def test_the_latest_run_is_the_one_trained_last_not_the_one_evaluated_last(folder):
    folder.snapshot.touch()
    newer = run_folder.create_run(None, "net")
    newer.write_config({"options": {}, "epoch_size": 9})
    os.utime(folder.snapshot, (1000, 1000))
    os.utime(newer.config, (2000, 2000))
    append_evaluation(folder, {"models": ["a"]})
    assert run_folder.latest_run().name == newer.name


def test_concurrent_evaluations_are_all_logged(folder):
    script = (
        f"METRICS = {METRICS!r}\n"
        "import sys; from pathlib import Path; from fer_lmdb.models.run_folder import RunFolder\n"
        "from fer_lmdb.models.evaluation_log import append_evaluation\n"
        "run = RunFolder(Path(sys.argv[1]))\n"
        "for i in range(40): append_evaluation(run, {**METRICS, 'i': i, 'x': 'x' * 9999})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(folder.path)]) for _ in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert len(folder.evaluations.read_text().splitlines()) == 120
    assert len(read_evaluations(folder)) == 1


def test_evaluations_of_a_replaced_best_model_are_left_out(folder):
    save_file({"a": torch.zeros(1)}, folder.best, metadata={"metadata": json.dumps({"epoch": {"iteration": 9}})})
    record = METRICS
    for iteration in (4, 9, None):
        append_evaluation(folder, {**record, "tta": iteration or 2, "iterations": [iteration]})
    assert [found["iterations"] for found in read_evaluations(folder)] == [[None], [9]]


def test_float32_takes_precedence_over_a_newer_evaluation_in_bfloat16(folder):
    for precision in ("float32", "bfloat16"):
        append_evaluation(folder, {**METRICS, "precision": precision})
    assert [found["precision"] for found in read_evaluations(folder)] == ["float32"]


def test_a_folder_without_a_run_is_rejected(tmp_path):
    with pytest.raises(RunError, match=r"no run\.json"):
        RunFolder(tmp_path).read_config()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"options": {}, "epoch_size": 9, "data": [1]}', r"data: found \[1\], expected an object"),
        ('{"options": "none", "epoch_size": 9}', "options: found 'none', expected an object"),
        ('{"options": {}, "epoch_size": 9, "data": {"sha256": 3}}', r"data\.sha256: found 3, expected an object"),
        ('{"options": {}}', "epoch_size: found none, expected one"),
        ('{"options": {}, "epoch_size": 0}', "epoch_size: found 0, expected at least 1"),
        ('{"options": {}, "epoch_size": 9, "epoch_size": 8}', 'found the key "epoch_size" twice'),
        ('{"options": {}, "epoch_size": NaN}', "found NaN, which is no number of JSON"),
        ('{"options": {"x": 1e999}, "epoch_size": 9}', "found the number 1e999, which is too large"),
        ('{"format": "other", "options": {}, "epoch_size": 9}', "format: found 'other', expected 'fer-lmdb run 1'"),
    ],
)
def test_a_value_that_does_not_match_is_an_error(folder, text, said):
    folder.config.write_text(text)
    with pytest.raises(RunError, match=rf"run.json: damaged: {said}.*; restore the file, or start a new run"):
        folder.read_config()


@pytest.mark.parametrize("content", ["{", "[]", "3\n", "[" * 100_000, "\xff", '{"split": "val"}\nhalf'])
@pytest.mark.parametrize("name", ["run.json", "log.jsonl", "evaluations.jsonl"])
def test_a_damaged_text_file_is_an_error(folder, name, content):
    (folder.path / name).write_text(content, encoding="latin-1")
    readers = {
        "run.json": folder.read_config,
        "log.jsonl": folder.read_log,
        "evaluations.jsonl": lambda: read_evaluations(folder),
    }
    read = readers[name]
    with pytest.raises(RunError, match=rf"{name}(:\d)?: damaged: ") as failure:
        read()
    assert "\n" not in str(failure.value)


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
def test_the_umask_sets_the_mode_of_a_file(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_file(tmp_path / "model.safetensors") as partial:
            save_file({"a": torch.zeros(2)}, partial)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644
