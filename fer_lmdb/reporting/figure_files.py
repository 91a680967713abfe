"""Charts and faces as files: PNG to paste, SVG to enlarge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lmdb.io.images import write_image
from fer_lmdb.reporting.elements import Chart, Group, ImageGrid, Report

DOTS_PER_INCH = 150
INCHES_A_TILE = 0.92
LINE = 0.155
"""Height of a line of a caption, in tiles."""


def write_files(report: Report, folder: Path) -> list[str]:
    """Write every chart and every sheet of faces of a report.

    Returns:
        the names of the files.
    """
    names: list[str] = []
    for part in report.parts():
        if isinstance(part, ImageGrid) and part.sheet is not None:
            write_image(folder / f"{part.name}.png", part.sheet)
            names.append(f"{part.name}.png")
        elif isinstance(part, Chart | ImageGrid):
            figure = part.figure if isinstance(part, Chart) else faces_figure(part)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # where everything lies is settled now, for all files
            figure.savefig(folder / f"{part.name}.png", dpi=DOTS_PER_INCH)
            drawn = chart_svg(part) if isinstance(part, Chart) else svg(figure, part.name)
            (folder / f"{part.name}.svg").write_text(on_white(drawn), encoding="utf-8")
            names += [f"{part.name}.png", f"{part.name}.svg"]
    return names


def svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG without a background, its letters as shapes: it looks alike wherever it is opened.

    Args:
        figure: what to write.
        name: makes the identifiers inside the same every time.
    """
    data = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(data, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return data.getvalue().decode("utf-8")


@lru_cache(maxsize=32)
def chart_svg(chart: Chart) -> str:
    """Return a chart as `svg` does; file and page share one drawing."""
    return svg(chart.figure, chart.name)


def on_white(text: str) -> str:
    """Return an SVG with a white background."""
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', text, count=1)


def faces_figure(faces: ImageGrid) -> Figure:
    """Draw groups of tiles in rows, headings above, captions below."""
    lines = max((len(tile.lines) for group in faces.groups for tile in group.tiles), default=0)
    step = 1 + LINE * lines + 0.08
    columns = max(1, min(faces.columns, max((len(group.tiles) for group in faces.groups), default=1)))
    rows = list(_rows(faces.groups, columns, step))
    height = rows[-1][0] + step if rows else 1.0
    wide = max(columns, 2)  # a heading needs some room
    figure = Figure(figsize=(wide * INCHES_A_TILE, (height + 0.35) * INCHES_A_TILE))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.04, wide + 0.04), ylim=(height, -0.35))
    axes.set_axis_off()
    axes.text(wide / 2, -0.17, faces.title, ha="center", va="center", fontsize=10)
    for top, group, first in rows:
        if group.title and first == 0:
            axes.text(0, top - 0.05, group.title, ha="left", va="bottom", fontsize=8, weight="bold")
        for column, tile in enumerate(group.tiles[first : first + columns]):
            _draw_tile(axes, tile.image, column + (wide - columns) / 2, top, faces.pixelated)
            for number, line in enumerate(tile.lines):
                place = top + 1 + LINE * (number + 0.5)
                axes.text(column + 0.49 + (wide - columns) / 2, place, line, ha="center", va="center", fontsize=6)
    return figure


def _rows(groups: Sequence[Group], columns: int, step: float) -> Iterator[tuple[float, Group, int]]:
    """Yield every row of tiles: its upper edge, its group, and the number of its first tile."""
    top = 0.0
    for group in groups:
        top += 0.25 if group.title else 0
        for first in range(0, max(len(group.tiles), 1), columns):
            yield top, group, first
            top += step


def _draw_tile(axes: Axes, image: np.ndarray, left: float, top: float, pixelated: bool) -> None:
    colors: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if image.ndim == 2 else {}
    smooth = "nearest" if pixelated else "antialiased"
    extent = (left, left + 0.96, top + 0.96, top)
    axes.imshow(image, extent=extent, interpolation=smooth, aspect="auto", **colors)
