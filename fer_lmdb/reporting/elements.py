"""What a report is made of: sections of charts, faces and tables, and notes on what could not be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_lmdb.errors import FerLmdbError, one_line
from prototxt_like.errors import PrototxtLikeError


@dataclass(frozen=True, eq=False)
class Chart:
    """A drawn figure: <name>.svg and <name>.png beside the page."""

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    figure: Figure
    caption: str = ""
    """What it shows, with split and N."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture and the lines below it.

    Attributes:
        image: (H, W) uint8 grey or (H, W, 3) uint8 RGB.
        lines: the caption.
    """

    image: NDArray[np.uint8]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Tiles that belong together, below a heading."""

    title: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Groups of small pictures.

    Attributes:
        columns: tiles in a row of the file.
        width: of a tile on the page, in CSS pixels.
        pixelated: whether single pixels shall show, as in filters of five by five.
        layout: on a wide page, "single": a third of it; "beside": the two thirds beside that; "": all of it.
        sheet: uint8 RGB (H, W, 3), the whole as one picture, where it is not to be drawn from the tiles.
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
    """Rows of texts; the first column names what the others are about."""

    kind: ClassVar[str] = "table"
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """A text that is shown as it stands, folded away."""

    kind: ClassVar[str] = "text"
    title: str
    text: str


@dataclass(frozen=True)
class Missing:
    """A part that could not be made, and why."""

    kind: ClassVar[str] = "missing"
    title: str
    reason: str


Element = Chart | ImageGrid | TableElement | Text | Missing


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Attributes:
        title: the heading.
        parts: what stands below, in order.
        halves: whether charts shall have half of a wide page rather than a third.
    """

    title: str
    parts: Sequence[Element]
    halves: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure of the summary: its name, its value, and what it rests on."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        kind: "run" or "data set".
        title: the heading.
        subtitle: the line below it.
        facts: the summary.
        sections: the parts, in order.
        figures: the summary as plain values, for --json.
    """

    kind: str
    title: str
    subtitle: str
    facts: Sequence[Fact]
    sections: Sequence[Section]
    figures: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> Iterable[Element]:
        """Yield every part of every section."""
        return (part for section in self.sections for part in section.parts)

    def missing(self) -> dict[str, list[str]]:
        """Return the titles of what is missing by reason."""
        reasons: dict[str, list[str]] = {}
        for part in self.parts():
            if isinstance(part, Missing):
                reasons.setdefault(part.reason, []).append(part.title)
        return reasons


def try_element(title: str, make: Callable[[], Element]) -> Element:
    """Make a part; where what it needs is missing or damaged, say so in its place."""
    try:
        return make()
    except (FerLmdbError, PrototxtLikeError, OSError) as error:
        return Missing(title, one_line(error))
