"""Expressions over time, in memory that does not grow with the length of the video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.io.images import printable_path
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.visualization.colors import color_of, hex_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BINS = 1500
MAX_DRAWN_PEOPLE = 6
MAX_TRACKED_PEOPLE = 200


@dataclass
class _Person:
    """Sums of a person's probabilities by bin, and how often the person was seen in each."""

    first_s: float
    last_s: float
    sums: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return sum(self.counts.values())

    @property
    def rank(self) -> tuple[int, float]:
        """Least for who is forgotten first."""
        return self.frames, self.last_s


class Timeline:
    """Gathers the frames of one video; bins of time are joined in pairs when there are too many.

    Args:
        classes: class names in label order.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.bin_s = 0.02
        self.frames = 0
        self.duration_s = 0.0
        self.people: dict[int, _Person] = {}

    def add(self, prediction: FramePrediction) -> None:
        """Take the next frame."""
        self.frames += 1
        self.duration_s = prediction.time_s
        while prediction.time_s / self.bin_s >= MAX_BINS:
            self._join_bins()
        at = int(prediction.time_s / self.bin_s)
        for face in prediction.faces:
            person = self.people.setdefault(_number(face), _Person(prediction.time_s, prediction.time_s))
            row = np.fromiter(face.probabilities.values(), np.float64, len(self.classes))
            person.sums[at] = person.sums.get(at, 0.0) + row
            person.counts[at] = person.counts.get(at, 0) + 1
            person.last_s = prediction.time_s
        self._forget({_number(face) for face in prediction.faces})

    def _forget(self, here: set[int]) -> None:
        """Drop who was seen least, and of these who is gone longest, while there are too many; nobody who is here."""
        gone = sorted(self.people.keys() - here, key=lambda number: self.people[number].rank)
        for number in gone[: max(0, len(self.people) - MAX_TRACKED_PEOPLE)]:
            del self.people[number]

    def mean(self, number: int) -> dict[str, float]:
        """Return a person's mean probabilities over the whole video."""
        person = self.people[number]
        total: NDArray[np.float64] = np.sum(list(person.sums.values()), axis=0) / person.frames
        return dict(zip(self.classes, total.tolist(), strict=True))

    def most_visible(self, most: int = MAX_DRAWN_PEOPLE) -> list[int]:
        """Return the numbers of those seen in most frames, by number."""
        return sorted(sorted(self.people, key=lambda number: -self.people[number].frames)[:most])

    def draw(self, path: Path, title: str = "") -> None:
        """Draw the expressions of the people seen longest, one panel each.

        Raises:
            ImageError: the file cannot be written.
        """
        from matplotlib.figure import Figure

        people = self.most_visible()
        figure = Figure(figsize=(11, 1.2 + 2.1 * max(1, len(people))), layout="constrained")
        panels = figure.subplots(max(1, len(people)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, number in zip(panels, people, strict=False):
            self._draw_person(axes, number)
        if not people:
            panels[0].text(0.5, 0.5, "no face was found", ha="center", va="center", transform=panels[0].transAxes)
            panels[0].set_yticks([])
        panels[-1].set(xlabel="time, s", xlim=(0, max(self.duration_s, self.bin_s)))
        if people:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
        figure.suptitle(title)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as partial:  # a link that lies there is replaced, not what it leads to
                figure.savefig(partial, dpi=120, format=path.suffix[1:])
        except (OSError, ValueError) as error:
            raise ImageError(f"{printable_path(path)}: cannot be written: {error}") from error

    def _draw_person(self, axes: Axes, number: int) -> None:
        times, rows = self._series(number)
        for name, shares in zip(self.classes, rows.T, strict=True):
            axes.plot(times, shares, label=name, color=hex_of(color_of(name)), linewidth=1.8)
        axes.set(ylim=(0, 1.02), ylabel=f"person {number}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)

    def _series(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return times (N,) and probabilities (N, classes); where the person was away stands a gap of NaN."""
        person = self.people[number]
        times, rows, before = [], [], None
        for at in sorted(person.sums):
            if before is not None and (at - before) * self.bin_s > max(0.5, 1.5 * self.bin_s):
                times.append((at - 0.5) * self.bin_s)
                rows.append(np.full(len(self.classes), np.nan))
            times.append((at + 0.5) * self.bin_s)
            rows.append(person.sums[at] / person.counts[at])
            before = at
        return np.array(times), np.array(rows)

    def _join_bins(self) -> None:
        self.bin_s *= 2
        for person in self.people.values():
            sums: dict[int, NDArray[np.float64]] = {}
            counts: dict[int, int] = {}
            for at, row in person.sums.items():
                sums[at // 2] = sums.get(at // 2, 0.0) + row
                counts[at // 2] = counts.get(at // 2, 0) + person.counts[at]
            person.sums, person.counts = sums, counts


def _number(face: FacePrediction) -> int:
    """Return the number of a person; 0 stands for the one who has none."""
    return face.id or 0
