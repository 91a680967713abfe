"""`make reproduce` knows every shipped model, and gives commands that the program understands."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from fer_lmdb.models.registry import list_pretrained

ROOT = Path(__file__).parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "reproduce.py"))
UNDERSTANDS = runpy.run_path(str(ROOT / "tests" / "docs" / "test_commands.py"))["check"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_shipped_model_has_its_recipe() -> None:
    assert sorted(TOOL["RECIPES"]) == list_pretrained()


@pytest.mark.parametrize("model", list_pretrained())
def test_its_commands_are_understood(model: str) -> None:
    commands = list(TOOL["commands"](model, "faces 2013.csv", "votes.csv"))
    assert commands[0][:2] == ["build", "faces 2013.csv"]
    assert commands[-1][:2] == ["evaluate", model]
    for words in commands:
        UNDERSTANDS(words)


def test_what_is_there_is_left_and_what_was_begun_goes_on() -> None:
    (TOOL["DATA"] / "fer2013-arcface").mkdir(parents=True)
    (TOOL["DATA"] / "fer2013-arcface" / "manifest.json").write_text("{}")
    (TOOL["RUNS"] / "face_emotion_net").mkdir(parents=True)
    (TOOL["RUNS"] / "face_emotion_net" / "run.json").write_text("{}")
    commands = list(TOOL["commands"]("face_emotion_net", "faces.csv", "votes.csv"))
    assert [words[0] for words in commands] == ["train", "evaluate", "evaluate"]
    assert commands[0] == ["train", "--resume", "--run", "runs/reproduced/face_emotion_net"]


def test_runs_and_teachers_are_made_before_they_are_needed() -> None:
    for recipe in TOOL["RECIPES"].values():
        made: set[str] = set()
        for training in recipe:
            words = training.options.split()
            needed = [words[i + 1] for i, word in enumerate(words) if word in ("--teacher", "--init")]
            assert {Path(run).name for run in needed} - set(list_pretrained()) <= made
            made.add(training.run)


def test_data_sets_are_made_once_and_before_they_are_needed() -> None:
    made: list[str] = []
    for words in TOOL["commands"]("fer_conv12_wide", "faces.csv", "votes.csv"):
        if words[0] in ("build", "join"):
            assert [folder for folder in words if folder.startswith("data/") and folder != words[-1]] == (
                made[:2] if words[0] == "join" else []
            )
            made.append(words[-1])
        named = [words[i + 1] for i, word in enumerate(words) if word in ("--data", "--teacher-data")]
        assert set(named) <= set(made)
    assert len(made) == len(set(made)) == 3
