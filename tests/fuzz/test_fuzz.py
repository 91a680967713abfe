"""A short run of the fuzzer, all earlier findings, and the detection of failures."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.fuzz import arena, wire
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import EXPECTED_ERRORS, TARGETS

CORPUS = Path(__file__).parents[1] / "corpus"
FINDS = sorted(path for path in CORPUS.glob("*/*") if path.parent.name in TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_mutated_files_are_read_or_rejected(target: str, tmp_path: Path) -> None:
    files = seeds(target, tmp_path)
    arena.warm_up(target, files)
    outcome = arena.fuzz(target, files, seed=1, seconds=2, most=40)
    assert outcome.cases and not outcome.finds


@given(dice=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_mutated_records_are_read_or_rejected(dice, tmp_path_factory) -> None:
    """Hypothesis generates the mutations, so that a finding is minimized."""
    folder = tmp_path_factory.mktemp("datum")
    data = mutate("datum", seeds("datum", folder), dice)
    try:
        TARGETS["datum"](data, folder)
    except EXPECTED_ERRORS as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("path", FINDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_former_finds(path: Path, tmp_path: Path) -> None:
    arena.warm_up(path.parent.name, seeds(path.parent.name, tmp_path))
    outcome = arena.try_files(path.parent.name, lambda _: path.read_bytes(), 0, lambda number: number > 0)
    assert outcome.cases == 1 and not outcome.finds


@pytest.mark.parametrize("target", ["caffemodel", "binaryproto", "datum"])
def test_valid_messages_come_back_from_their_tree(target: str, tmp_path: Path) -> None:
    for data in seeds(target, tmp_path):
        assert wire.serialize(wire.parse(data)) == data


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "died of SIGSEGV"),
        (lambda: os._exit(3), "ended with exit code 3"),
        (lambda: [time.process_time() for _ in iter(int, 1)], "more than 0.1 s of work"),
        (lambda: time.sleep(60), "nothing done in 0.5 s"),
        (lambda: bytearray(1 << 31), "MemoryError"),
        (lambda: {}["key"], "KeyError: 'key'"),
        (lambda: exec("1"), "called exec"),
        (lambda: os.system("true"), "called os.system"),
    ],
    ids=["crash", "exit", "loop", "sleep", "memory", "traceback", "exec", "shell"],
)
def test_what_goes_wrong_is_noticed(deed, said: str, monkeypatch) -> None:
    monkeypatch.setattr(arena, "SECONDS", 0.1)
    monkeypatch.setattr(arena, "WALL_SECONDS", 0.5 if "nothing" in said else 60)
    monkeypatch.setitem(TARGETS, "deed", lambda data, folder: deed() if data == b"2" else None)
    outcome = arena.try_files("deed", lambda number: b"%d" % number, 0, lambda number: number >= 5)
    assert (outcome.read, list(outcome.finds)) == (4, [2])
    assert outcome.finds[2].startswith(said)
