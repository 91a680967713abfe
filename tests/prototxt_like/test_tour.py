"""Test that the code of docs/caffe.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[2] / "docs" / "caffe.md"


def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", TOUR.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), str(TOUR), "exec"), {"__name__": "tour"})
    merged = {"merged.caffemodel", "merged.prototxt"}
    snapshots = {f"mine_iter_{iteration}.{kind}" for iteration in (2, 4) for kind in ("caffemodel", "solverstate")}
    assert merged | snapshots | {"theirs.caffemodel", "ours.caffemodel", "deploy.prototxt", "net.svg"} == {
        path.name for path in tmp_path.iterdir()
    }
    assert "conv1" in capsys.readouterr().out
