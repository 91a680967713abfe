"""The lock and the list of licenses contain every direct dependency; `make lock licenses` updates them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = runpy.run_path(str(ROOT / "tools" / "licenses.py"))
LOCKING = runpy.run_path(str(ROOT / "tools" / "lock.py"))
DIRECT = TOOLS["direct"]()


@pytest.mark.parametrize("group", DIRECT)
def test_every_dependency_has_its_license_listed(group: str) -> None:
    page = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    assert [name for name in DIRECT[group] if f"\n| {name} | " not in page] == [], "make licenses"


@pytest.mark.parametrize("group", ["required", *LOCKING["EXTRAS"]])
def test_every_dependency_is_locked_with_hashes(group: str) -> None:
    blocks = LOCKING["kept"]((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    locked = {block.split("==")[0]: block for block in blocks if not block.startswith("#")}
    assert all("--hash=sha256:" in block for block in locked.values())
    assert [name for name in DIRECT[group] if name not in locked and name != "torch"] == [], "make lock"


def test_what_is_left_out_of_the_lock() -> None:
    blocks = [f"{name}==1 \\\n    --hash=sha256:1\n" for name in ("click", "torch", "nvidia-x", "torchmetrics")]
    assert LOCKING["kept"]("".join(blocks)) == [blocks[0], blocks[3]]


def test_the_lock_keeps_the_constraints() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [line.split(";")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    assert [
        pin for pin in pins if pin and pin[0] != "#" and not pin.startswith("torch==") and f"{pin} " not in lock
    ] == []
