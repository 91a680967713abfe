"""The command line where streams break, disks are full and names are odd: one line, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fer_lmdb.data.sources.synthetic import write_synthetic_csv

ODD = os.fsdecode(b"caf\xe9")


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which ``fer-lmdb`` is this program."""
    line = f'fer-lmdb() {{ "{sys.executable}" -m fer_lmdb "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, env={**os.environ, **environment})


@pytest.mark.parametrize("arguments", ["--help", "--version", "completion bash"])
def test_a_full_disk_behind_stdout(tmp_path: Path, arguments: str) -> None:
    done = shell(f"fer-lmdb {arguments} > /dev/full", tmp_path)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


def test_a_reader_that_leaves_closed_streams_and_no_home(tmp_path: Path) -> None:
    """The reader of stdout is closed early; exit codes tell whether the work was done, not whether it was read."""
    for redirected in ("| true", ">&- 2>&-", "2>&- < /dev/null"):
        done = shell(f"unset HOME; fer-lmdb completion bash {redirected}", tmp_path)
        assert done.returncode in (0, 1)
        assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_names_that_are_not_utf8_from_end_to_end(tmp_path: Path, locale: str) -> None:
    """Source, target and message: every byte of a name arrives, whatever the terminal can show."""
    write_synthetic_csv(tmp_path / f"{ODD}.csv", train=14, val=7, test=7)
    settings = {"LC_ALL": locale, "PYTHONIOENCODING": "ascii" if locale == "POSIX" else ""}
    done = shell(
        "fer-lmdb build *.csv --detector none && fer-lmdb inspect data/caf* --verify --json", tmp_path, **settings
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / ODD / "train_lmdb" / "data.mdb").is_file()
    assert b'"problems": []' in done.stdout
    missing = shell("fer-lmdb build $'nowhere\\xe9'", tmp_path, **settings)
    assert missing.returncode == 1
    assert b"does not exist" in missing.stderr and b"Traceback" not in missing.stderr
