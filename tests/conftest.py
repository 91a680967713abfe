"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# As in the command line: spinning idle threads make tests many times slower while other programs run.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A background job of a shell ignores SIGINT, one of nohup SIGHUP, and so would the processes that tests interrupt.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (getattr(signal, "SIGHUP", None), signal.SIG_DFL)):
    if number is not None and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


def shared_folder() -> Path | None:
    """Return the folder of real data and golden outputs, or None."""
    named = os.environ.get("FER_LMDB_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return folder if (folder / "golden").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and golden outputs; the test is skipped if it does not exist."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the real data: set FER_LMDB_SHARED to its folder")
    return folder
