"""Expressions over time: correct means, bounded memory, a plot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.inference import timeline
from fer_lmdb.inference.timeline import MAX_BINS, Timeline
from fer_lmdb.io.images import read_image
from fer_lmdb.results import FacePrediction, FramePrediction


def frame(index: int, time_s: float, people: dict[int, float]) -> FramePrediction:
    faces = tuple(
        FacePrediction((0, 0, 9, 9), 1.0, None, "happy", {"happy": probability, "sad": 1 - probability}, number)
        for number, probability in people.items()
    )
    return FramePrediction("clip.mp4", index, time_s, faces)


def test_means_and_times() -> None:
    line = Timeline(("happy", "sad"))
    for index in range(100):
        line.add(frame(index, index / 25, {1: index / 99} | ({2: 0.25} if index >= 50 else {})))
    assert line.mean(1) == pytest.approx({"happy": 0.5, "sad": 0.5})
    assert line.mean(2) == pytest.approx({"happy": 0.25, "sad": 0.75})
    assert (line.people[2].first_s, line.people[2].last_s) == (2.0, 3.96)
    assert (line.frames, line.duration_s) == (100, 3.96)


def test_memory_is_bounded_and_means_are_correct() -> None:
    line = Timeline(("happy", "sad"))
    for index in range(20_000):
        line.add(frame(index, index / 10, {1: 0.2 if index < 10_000 else 0.6}))
    assert len(line.people[1].sums) <= MAX_BINS
    assert line.mean(1)["happy"] == pytest.approx(0.4)
    times, rows = line._series(1)
    assert times[-1] == pytest.approx(2000, abs=2 * line.bin_s)
    np.testing.assert_allclose(rows[times < 995, :, 0], 0.2)
    np.testing.assert_allclose(rows[times > 1005, :, 0], 0.6)


def test_the_number_of_people_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_TRACKED_PEOPLE", 5)
    line = Timeline(("happy", "sad"))
    for index in range(60):
        line.add(frame(index, index / 25, {1: 0.5, 100 + index: 0.5}))
    assert len(line.people) <= 5
    assert line.people[1].frames == 60


def test_a_person_who_appears_late_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_TRACKED_PEOPLE", 3)
    line = Timeline(("happy", "sad"))
    for index, number in enumerate((1, 1, 1, 2, 2, 3, 3, *[4] * 50)):
        line.add(frame(index, index / 25, {number: 0.5}))
    assert set(line.people) == {1, 3, 4}  # 2 and 3 were seen as often, 3 later
    assert line.people[4].frames == 50
    assert line.most_visible(1) == [4]


def test_people_who_appear_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_TRACKED_PEOPLE", 5)
    line = Timeline(("happy", "sad"))
    for index in range(20):
        line.add(frame(index, index / 25, dict.fromkeys(range(100 + 3 * index, 103 + 3 * index), 0.5)))
    assert len(line.people) == 5
    assert {157, 158, 159} <= set(line.people)


def test_absence_is_a_gap() -> None:
    line = Timeline(("happy", "sad"))
    for index in (*range(25), *range(100, 125)):
        line.add(frame(index, index / 25, {1: 0.5}))
    times, rows = line._series(1)
    assert np.isnan(rows).all(axis=(1, 2)).sum() == 1
    assert (np.diff(times) > 0).all()


def test_faces_that_are_held_over_do_not_count() -> None:
    line = Timeline(("happy", "sad"))
    for index in range(10):
        prediction = frame(index, index / 25, {1: 0.5 if index < 5 else 0.9})
        held = tuple(replace(face, detected=index < 5) for face in prediction.faces)
        line.add(replace(prediction, faces=held))
    assert line.people[1].frames == 5
    assert line.mean(1)["happy"] == pytest.approx(0.5)


def test_unsmoothed_probabilities_are_kept_beside_the_smoothed() -> None:
    line = Timeline(("happy", "sad"))
    prediction = frame(0, 0.0, {1: 0.5})
    unsmoothed = {"happy": 0.9, "sad": 0.1}
    line.add(replace(prediction, faces=(replace(prediction.faces[0], unsmoothed_probabilities=unsmoothed),)))
    np.testing.assert_allclose(line._series(1)[1], [[[0.5, 0.5], [0.9, 0.1]]])


def test_the_most_visible_people_are_drawn_in_order() -> None:
    line = Timeline(("happy", "sad"))
    for index in range(10):
        line.add(frame(index, index / 25, {number: 0.5 for number in range(1, 9) if index < 12 - number}))
    assert line.most_visible(3) == [1, 2, 3]


@pytest.mark.parametrize("people", [0, 1, 3])
def test_the_plot(tmp_path: Path, people: int) -> None:
    line = Timeline(("happy", "sad"))
    for index in range(50):
        line.add(frame(index, index / 25, dict.fromkeys(range(1, people + 1), 0.8)))
    line.draw(tmp_path / "new" / "plot.png", "clip.mp4")
    drawn = read_image(tmp_path / "new" / "plot.png")
    assert drawn.shape[1] > 1000
    assert (drawn == (240, 228, 66)).all(axis=2).any() is np.bool_(people > 0)  # color of happy


def test_a_plot_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"plot\.xyz: cannot be written"):
        Timeline(("happy",)).draw(tmp_path / "plot.xyz")


def test_a_plot_is_atomic_and_replaces_a_link_but_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"photograph")
    (tmp_path / "plot.png").symlink_to(tmp_path / "photo.png")
    Timeline(("happy",)).draw(tmp_path / "plot.png")
    assert (tmp_path / "photo.png").read_bytes() == b"photograph"
    with pytest.raises(ImageError, match=r"plot\.xyz: cannot be written"):
        Timeline(("happy",)).draw(tmp_path / "plot.xyz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "plot.png"]
