"""Contents of a report: sections of charts, image grids, tables, texts and notes on missing elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_lmdb.errors import ERRORS, one_line


@dataclass(frozen=True, eq=False)
class Chart:
    """A matplotlib figure, also written as <name>.svg and <name>.png.

    Attributes:
        name: File name without suffix.
        title: Heading.
        figure: Figure to draw.
        caption: Content of the chart, with split and N.
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    figure: Figure
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Tile:
    """One image and its caption.

    Attributes:
        image: (H, W) uint8 gray or (H, W, 3) uint8 RGB.
        lines: Lines of the caption.
    """

    image: NDArray[np.uint8]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Tiles under a common heading; no heading if the title is empty."""

    title: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Groups of small images.

    Attributes:
        name: File name without suffix.
        title: Heading.
        groups: Groups in order.
        caption: Content of the grid, with split and N.
        columns: Tiles per row of the image file.
        width: Width of a tile on the page in CSS pixels.
        pixelated: Whether to upscale without smoothing, e.g. for filters of 5 x 5.
        layout: Width on a wide page: "single" (one third), "beside" (two thirds, next to a single one) or "" (full).
        sheet: (H, W, 3) uint8 RGB image to write to the file; None to draw it from the tiles.
    """

    kind: ClassVar[str] = "faces"
    name: str
    title: str
    groups: Sequence[Group]
    caption: str = ""
    columns: int = 8
    width: int = 96
    pixelated: bool = False
    layout: str = ""
    sheet: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class TableElement:
    """A table of text cells; the first column contains the row headings."""

    kind: ClassVar[str] = "table"
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """Preformatted text, collapsed on the page."""

    kind: ClassVar[str] = "text"
    title: str
    text: str


@dataclass(frozen=True)
class Missing:
    """Placeholder of an element that could not be created, with the reason."""

    kind: ClassVar[str] = "missing"
    title: str
    reason: str


Element = Chart | ImageGrid | TableElement | Text | Missing


@dataclass(frozen=True)
class Section:
    """A heading and its elements.

    Attributes:
        title: Heading.
        elements: Elements in order.
        halves: Whether charts fill half of a wide page instead of a third.
    """

    title: str
    elements: Sequence[Element]
    halves: bool = False


@dataclass(frozen=True)
class Fact:
    """One entry of the summary: name, value and a note on its origin."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """Contents of one report.

    Attributes:
        kind: "run" or "data set".
        title: Heading of the page.
        subtitle: Line below the heading.
        facts: Summary.
        sections: Sections in order.
        summary: Summary as JSON-serializable values, for report.json.
    """

    kind: str
    title: str
    subtitle: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    summary: dict[str, Any] = field(default_factory=dict)

    def elements(self) -> Iterable[Element]:
        """Yield the elements of all sections."""
        return (element for section in self.sections for element in section.elements)

    def missing(self) -> dict[str, list[str]]:
        """Return the titles of missing elements, by reason."""
        reasons: dict[str, list[str]] = {}
        for element in self.elements():
            if isinstance(element, Missing):
                reasons.setdefault(element.reason, []).append(element.title)
        return reasons


def try_element(title: str, make: Callable[[], Element]) -> Element:
    """Create an element, or a `Missing` with the reason if its input is missing or damaged."""
    try:
        return make()
    except (*ERRORS, OSError) as error:
        return Missing(title, one_line(error))
