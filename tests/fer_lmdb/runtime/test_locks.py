"""File locks: exclusive, released with their holder, inherited by child processes or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fer_lmdb.runtime.locks import FileLock

HOLDER = """
import os, sys, time
from pathlib import Path
from fer_lmdb.runtime.locks import FileLock
lock = FileLock(Path(sys.argv[1]), inherited=sys.argv[2] == "inherited")
print(lock.acquire(), flush=True)
if os.fork() == 0:
    sys.stdin.readline()  # the child outlives its parent
"""


@pytest.mark.parametrize(("mode", "held"), [("inherited", True), ("own", False)])
def test_children_share_an_inherited_lock_only(tmp_path: Path, mode: str, held: bool) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock"), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        process.wait()
        with FileLock(tmp_path / "lock", inherited=mode == "inherited") as lock:
            assert lock.acquire() is not held


def test_two_holders_in_one_process(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock", inherited=True, remove=True) as first:
        assert first.acquire()
        with FileLock(tmp_path / "lock", inherited=True, remove=True) as second:
            assert not second.acquire()
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with FileLock(tmp_path / "lock", inherited=True, remove=True) as lock:
            assert lock.acquire()
