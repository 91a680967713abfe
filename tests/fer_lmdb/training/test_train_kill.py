"""A killed run resumes and ends like an uninterrupted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fer_lmdb.errors import RunError
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import train

TORTURE = Path(__file__).parents[3] / "benchmarks" / "torture_train.py"


def test_killed_at_random_moments() -> None:
    done = subprocess.run([sys.executable, str(TORTURE), "--kills", "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)["outcomes"].values()) == 20


def test_the_run_lock_excludes_other_processes(tmp_path: Path) -> None:
    holder = (
        "import sys; from fer_lmdb.models.run_folder import *\n"
        "with RunFolder(Path(sys.argv[1])).lock(): print(1); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    other.stdout.readline()
    with pytest.raises(RunError, match="another process is training this run"), RunFolder(tmp_path).lock():
        pass
    other.kill()
    other.communicate()
    with RunFolder(tmp_path).lock():
        pass


def test_partial_files_of_a_killed_run_are_deleted(trained, options, tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("snapshot.safetensors.4711.partial", "best.safetensors.partial"):
        (run / name).write_bytes(b"half")
    result = train.train(options, run)
    assert result.log == trained.log
    assert not list(run.glob("*.partial"))


def test_file_systems_without_locks_are_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have no locks."""
    import fcntl

    def fail(*_: object) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(fcntl, "lockf", fail)
    with RunFolder(tmp_path).lock():
        pass


def test_a_kill_between_snapshot_and_log_is_repaired(options, trained, tmp_path) -> None:
    run = train.train(options, tmp_path / "run").run
    lines = run.log.read_text().splitlines(keepends=True)
    run.log.write_text("".join(lines[:-1]))
    assert train.resume(run.path).finished
    assert run.read_log() == trained.log
