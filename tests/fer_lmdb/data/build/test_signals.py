"""An interrupted build removes its files, or finishes if it is already being renamed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_kill import PROGRAM, build_seed, verified_seed


def terminate_at(target: Path, moment: str, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(target), moment, number.name]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("read", signal.SIGTERM),
        ("write train", signal.SIGTERM),
        ("check", signal.SIGHUP),
        ("before sync", signal.SIGTERM),
    ],
)
def test_terminated_while_building(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    target = tmp_path / "data"
    build_seed(target, 1)
    done = terminate_at(target, moment, number)
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert verified_seed(target) == 1


def test_terminated_while_renaming(tmp_path: Path) -> None:
    target = tmp_path / "data"
    build_seed(target, 1)
    done = terminate_at(target, "after exchange", signal.SIGTERM)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert verified_seed(target) == 2
