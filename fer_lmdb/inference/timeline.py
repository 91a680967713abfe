"""Expressions over time, in memory independent of the length of the video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.visualization.colors import color_of, hex_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BINS = 1500
MAX_DRAWN_PEOPLE = 6
MAX_TRACKED_PEOPLE = 200
MAX_MARKERS = 100
"""Most points of a person that are drawn with markers."""


@dataclass
class _Person:
    """Probability sums, smoothed and unsmoothed, and frame counts of one person per time bin."""

    first_s: float
    last_s: float
    sums: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return sum(self.counts.values())

    @property
    def rank(self) -> tuple[int, float]:
        """Sort key; the person with the lowest rank is dropped first."""
        return self.frames, self.last_s


class Timeline:
    """Accumulate the frames of one video in time bins; bins are merged in pairs when there are too many.

    Args:
        classes: Class names in label order.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.bin_s = 0.02
        self.frames = 0
        self.duration_s = 0.0
        self.people: dict[int, _Person] = {}

    def add(self, prediction: FramePrediction) -> None:
        """Add the next frame."""
        self.frames += 1
        self.duration_s = prediction.time_s
        while prediction.time_s / self.bin_s >= MAX_BINS:
            self._merge_bins()
        at = int(prediction.time_s / self.bin_s)
        for face in prediction.faces:
            if not face.detected:
                continue  # held over, so there is nothing new
            person = self.people.setdefault(_track_id(face), _Person(prediction.time_s, prediction.time_s))
            row = np.array([list(face.probabilities.values()), list(_unsmoothed(face).values())], np.float64)
            person.sums[at] = person.sums.get(at, 0.0) + row
            person.counts[at] = person.counts.get(at, 0) + 1
            person.last_s = prediction.time_s
        self._drop_excess({_track_id(face) for face in prediction.faces})

    def _drop_excess(self, visible: set[int]) -> None:
        """Drop the people with the fewest frames, ties by last appearance, above the limit; visible people remain."""
        gone = sorted(self.people.keys() - visible, key=lambda track_id: self.people[track_id].rank)
        for track_id in gone[: max(0, len(self.people) - MAX_TRACKED_PEOPLE)]:
            del self.people[track_id]

    def mean(self, track_id: int) -> dict[str, float]:
        """Return the mean probabilities of a person over the video."""
        person = self.people[track_id]
        total: NDArray[np.float64] = np.sum([rows[0] for rows in person.sums.values()], axis=0) / person.frames
        return dict(zip(self.classes, total.tolist(), strict=True))

    def most_visible(self, limit: int = MAX_DRAWN_PEOPLE) -> list[int]:
        """Return the track IDs of the people visible in most frames, in ascending order."""
        return sorted(sorted(self.people, key=lambda track_id: -self.people[track_id].frames)[:limit])

    def draw(self, path: Path, title: str = "") -> None:
        """Plot the expressions of the people visible longest, one panel each; thin lines are not smoothed.

        Args:
            path: Output file; its suffix selects the format.
            title: Figure title.

        Raises:
            ImageError: If the file cannot be written.
        """
        from matplotlib.figure import Figure

        from fer_lmdb.visualization.figure_file import save_figure

        people = self.most_visible()
        figure = Figure(figsize=(11, 1.2 + 2.1 * max(1, len(people))), layout="constrained")
        panels = figure.subplots(max(1, len(people)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, track_id in zip(panels, people, strict=False):
            self._draw_person(axes, track_id)
        if not people:
            panels[0].text(0.5, 0.5, "no face detected", ha="center", va="center", transform=panels[0].transAxes)
            panels[0].set_yticks([])
        panels[-1].set(xlabel="time, s", xlim=(0, max(self.duration_s, self.bin_s)))
        if people:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
        figure.suptitle(title)
        save_figure(figure, path)

    def _draw_person(self, axes: Axes, track_id: int) -> None:
        times, rows = self._series(track_id)
        marker = "." if len(times) <= MAX_MARKERS else ""  # a line through a single point is invisible
        for at, name in enumerate(self.classes):
            color = hex_of(color_of(name))
            axes.plot(times, rows[:, 1, at], color=color, linewidth=0.7, alpha=0.45)
            axes.plot(times, rows[:, 0, at], label=name, color=color, linewidth=1.8, marker=marker)
        axes.set(ylim=(0, 1.02), ylabel=f"person {track_id}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)

    def _series(self, track_id: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times (N,) and probabilities (N, 2, classes), smoothed and not; NaN where the person was absent."""
        person = self.people[track_id]
        times, rows, before = [], [], None
        for at in sorted(person.sums):
            if before is not None and (at - before) * self.bin_s > max(0.5, 1.5 * self.bin_s):
                times.append((at - 0.5) * self.bin_s)
                rows.append(np.full((2, len(self.classes)), np.nan))
            times.append((at + 0.5) * self.bin_s)
            rows.append(person.sums[at] / person.counts[at])
            before = at
        return np.array(times), np.array(rows)

    def _merge_bins(self) -> None:
        self.bin_s *= 2
        for person in self.people.values():
            sums: dict[int, NDArray[np.float64]] = {}
            counts: dict[int, int] = {}
            for at, row in person.sums.items():
                sums[at // 2] = sums.get(at // 2, 0.0) + row
                counts[at // 2] = counts.get(at // 2, 0) + person.counts[at]
            person.sums, person.counts = sums, counts


def _unsmoothed(face: FacePrediction) -> dict[str, float]:
    return face.unsmoothed_probabilities or face.probabilities


def _track_id(face: FacePrediction) -> int:
    """Return the track ID of a face, 0 if it has none."""
    return face.id or 0
