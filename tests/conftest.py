"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As the command line does: idle threads that spin make every test many times slower beside other programs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def shared_folder() -> Path | None:
    """Where the real data and golden outputs lie, or None."""
    named = os.environ.get("FER_LMDB_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return folder if (folder / "golden").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and golden outputs; skips the test where there is none."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the real data: set FER_LMDB_SHARED to its folder")
    return folder
