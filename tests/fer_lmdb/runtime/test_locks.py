"""File locks: exclusive, released with their holder, not inherited by its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer_lmdb.runtime.locks import FileLock

HOLDER = """
import os, sys, time
from pathlib import Path
from torch.utils.data import DataLoader
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.io.streaming import StreamingFile
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.runtime.locks import FileLock


class Endless:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        print(os.getpid(), flush=True)
        time.sleep(1000)


def wait_with_workers():
    next(iter(DataLoader(Endless(), num_workers=1)))


folder = Path(sys.argv[2])
if sys.argv[1] == "lock":
    with FileLock(folder / "lock") as lock:
        assert lock.acquire()
        wait_with_workers()
elif sys.argv[1] == "data set":
    with atomic_directory(folder / "data"):
        wait_with_workers()
elif sys.argv[1] == "run":
    with RunFolder(folder).lock():
        wait_with_workers()
else:
    file = StreamingFile(folder / "faces.csv")
    wait_with_workers()
"""
LOCKS = {"lock": "lock", "data set": ".data.fer-lmdb-lock", "run": "training.lock", "stream": ".faces.csv.lock"}


@pytest.mark.parametrize("what", LOCKS)
def test_a_lock_is_free_when_its_holder_is_killed_even_if_its_workers_live(tmp_path: Path, what: str) -> None:
    command = [sys.executable, "-c", HOLDER, what, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        worker = int(holder.stdout.readline())
        try:
            with FileLock(tmp_path / LOCKS[what]) as lock:
                assert not lock.acquire()
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            os.kill(worker, 0)  # it lives
            with FileLock(tmp_path / LOCKS[what]) as lock:
                assert lock.acquire()
        finally:
            os.kill(worker, signal.SIGKILL)


def test_two_holders_in_one_process(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock", remove=True) as first:
        assert first.acquire()
        with FileLock(tmp_path / "lock", remove=True) as second:
            assert not second.acquire()
        with FileLock(tmp_path / "." / "lock", remove=True) as third:
            assert not third.acquire()
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with FileLock(tmp_path / "lock", remove=True) as lock:
            assert lock.acquire()


def test_a_lock_that_cannot_be_opened_is_not_held(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "missing" / "lock")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            lock.acquire()
