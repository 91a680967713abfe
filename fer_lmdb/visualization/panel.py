"""Panels of probability bars, and their placement beside faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fer_lmdb.results import FacePrediction
from fer_lmdb.visualization.canvas import Canvas, Rect, text_width
from fer_lmdb.visualization.colors import color_of

_BACKGROUND = (24, 24, 24)
_GROOVE = (70, 70, 70)
_INK = (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """Bars of a face's probabilities in label order.

    Attributes:
        rows: Class name and probability, 0 to 1, of each bar.
        best: Name of the most probable class, drawn in bold.
        size: Font size in pixels.
        title: Heading, e.g. "2", or "" for none.
        unsmoothed: Probability of this frame alone for each bar, drawn as a mark; empty for none.
    """

    rows: tuple[tuple[str, float], ...]
    best: str
    size: int
    title: str = ""
    unsmoothed: tuple[float, ...] = ()

    @property
    def names_width(self) -> float:
        """Width of the longest name in pixels."""
        return max(text_width(name, self.size, bold=True) for name, _ in self.rows)

    @property
    def width(self) -> float:
        """Width in pixels: name, bar and percentage."""
        return self.names_width + 8.9 * self.size

    @property
    def height(self) -> float:
        """Height in pixels."""
        return (len(self.rows) + bool(self.title)) * self._row + 0.7 * self.size

    @property
    def _row(self) -> float:
        return 1.35 * self.size

    def draw(self, canvas: Canvas, x: float, y: float, opacity: float = 0.72) -> None:
        """Draw the panel with its top left corner at x, y."""
        canvas.fill(Rect(x, y, self.width, self.height), _BACKGROUND, opacity)
        middle = y + 0.35 * self.size + 0.5 * self._row
        if self.title:
            canvas.text(x + 0.5 * self.size, middle, self.title, _INK, self.size, bold=True)
            middle += self._row
        for at, (name, probability) in enumerate(self.rows):
            self._draw_row(canvas, x + 0.5 * self.size, middle, name, probability)
            if self.unsmoothed:
                self._draw_mark(canvas, x + 0.5 * self.size, middle, self.unsmoothed[at])
            middle += self._row

    def _draw_row(self, canvas: Canvas, x: float, middle: float, name: str, probability: float) -> None:
        bold = name == self.best
        bar = x + self.names_width + 0.5 * self.size
        thick, long = 0.8 * self.size, 4.2 * self.size
        canvas.text(x, middle, name, _INK, self.size, bold=bold)
        canvas.fill(Rect(bar, middle - thick / 2, long, thick), _GROOVE)
        canvas.fill(Rect(bar, middle - thick / 2, max(1.0, long * probability), thick), color_of(name))
        right = x + self.width - self.size
        canvas.text(right, middle, f"{probability:.0%}", _INK, self.size, bold=bold, anchor="rm")

    def _draw_mark(self, canvas: Canvas, x: float, middle: float, probability: float) -> None:
        at = x + self.names_width + 0.5 * self.size + 4.2 * self.size * probability
        width, height = max(2.0, 0.12 * self.size), 0.8 * self.size
        canvas.fill(Rect(at - width / 2, middle - height / 2, width, height), _INK)


def make_panel(face: FacePrediction, size: int, title: str = "") -> Panel:
    """Return the panel of a face."""
    unsmoothed = tuple((face.unsmoothed_probabilities or {}).values())
    return Panel(tuple(face.probabilities.items()), face.best, size, title, unsmoothed)


def place_panel(
    width: float, height: float, beside: Rect, taken: Sequence[Rect], image: tuple[int, int], allowed: float = 0.02
) -> Rect | None:
    """Find a position for a panel beside a face.

    Args:
        width: Width of the panel in pixels.
        height: Height of the panel in pixels.
        beside: Box of the face.
        taken: Boxes that must remain visible: all faces, labels and other panels.
        image: Width and height of the image.
        allowed: Fraction of the panel, 0 to 1, that may cover boxes of `taken`.

    Returns:
        The position with the smallest overlap, or None if each one exceeds `allowed`.
    """
    if width > image[0] or height > image[1]:
        return None
    gap = 0.06 * beside.width
    places = [
        Rect(x, y, width, height).clamped_to(*image)
        for x, y in [
            (beside.right + gap, beside.y),
            (beside.x - gap - width, beside.y),
            (beside.x + (beside.width - width) / 2, beside.bottom + gap),
            (beside.right + gap, beside.bottom - height),
            (beside.x - gap - width, beside.bottom - height),
            (beside.x, beside.bottom + gap),
            (beside.right - width, beside.bottom + gap),
            (beside.x + (beside.width - width) / 2, beside.y - gap - height),
        ]
    ]
    hidden = [sum(place.overlap(box) for box in taken) / place.area for place in places]
    least = min(hidden)
    return places[hidden.index(least)] if least <= allowed else None
