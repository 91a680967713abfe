"""Each example of docs/inputs.md ends in its message."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from fer_lmdb.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"
EXAMPLES = re.findall(r"^\| `fer-lmdb ([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("nothing", *(f"numbers/{number}" for number in range(1, 8)), "order/3_sad", "order/4_happy"):
        (tmp_path / name).mkdir(parents=True)
        if name != "nothing":
            (tmp_path / name / "1.png").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize(("words", "message"), EXAMPLES, ids=[words for words, _ in EXAMPLES])
def test_inputs_that_a_command_does_not_take(folder: Path, capsys, words: str, message: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(words))
    assert stopped.value.code in (1, 2)
    assert message in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
