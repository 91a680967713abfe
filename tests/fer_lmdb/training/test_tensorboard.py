"""Curves of a resumed run: no gaps, no duplicates."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lmdb.training.tensorboard import TensorBoardLogger


def write(folder: Path, start: int, stop: int) -> None:
    """Write points after iteration `start`, worth their own iteration."""
    curves = TensorBoardLogger(folder, start)
    for iteration in range(start + 1, stop + 1):
        curves.log_training(iteration, iteration, 0.1, 100)
    curves.close()


def points(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("train/loss")]


@pytest.mark.parametrize("start", [0, 3, 5])
def test_a_run_that_goes_on_in_the_same_second_has_no_gap_and_no_double(tmp_path: Path, start: int) -> None:
    write(tmp_path, 0, 5)
    write(tmp_path, start, 8)
    assert points(tmp_path) == [(number, number) for number in range(1, 9)]


def test_many_starts_in_one_second_keep_their_order(tmp_path: Path) -> None:
    for start in range(12):
        write(tmp_path, start, start + 3)
    assert points(tmp_path) == [(number, number) for number in range(1, 15)]


def test_a_clock_that_was_set_back_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 0, 5)
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    write(tmp_path, 3, 8)
    assert points(tmp_path) == [(number, number) for number in range(1, 9)]


@pytest.mark.parametrize("bytes_lost", [1, 10, 60])
def test_a_record_that_was_half_written_does_no_harm(tmp_path: Path, bytes_lost: int) -> None:
    write(tmp_path, 0, 5)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-bytes_lost])
    write(tmp_path, 3, 8)
    assert points(tmp_path) == [(number, number) for number in range(1, 9)]
