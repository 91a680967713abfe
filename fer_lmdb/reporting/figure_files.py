"""Write charts and image grids as PNG and SVG files."""

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
from fer_lmdb.reporting.elements import Chart, Group, ImageGrid, Page
from fer_lmdb.visualization.figure_file import plain_texts, save_figure, without_glyph_warnings

DPI = 150
TILE_INCHES = 0.92
LINE_HEIGHT = 0.155
"""Height of a caption line as a fraction of a tile."""


def write_files(page: Page, folder: Path) -> list[str]:
    """Write all charts and image grids of a page, and return the file names."""
    names: list[str] = []
    for element in page.elements():
        if isinstance(element, ImageGrid) and element.sheet is not None:
            write_image(folder / f"{element.name}.png", element.sheet)
            names.append(f"{element.name}.png")
        elif isinstance(element, Chart | ImageGrid):
            figure = element.figure if isinstance(element, Chart) else grid_figure(element)
            plain_texts(figure)
            with without_glyph_warnings():
                figure.draw_without_rendering()
            figure.set_layout_engine("none")  # fix the layout, so that all files are identical
            save_figure(figure, folder / f"{element.name}.png", dpi=DPI)
            text = chart_svg(element) if isinstance(element, Chart) else svg(figure, element.name)
            (folder / f"{element.name}.svg").write_text(on_white(text), encoding="utf-8")
            names += [f"{element.name}.png", f"{element.name}.svg"]
    return names


def svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG with a transparent background and text as paths.

    Args:
        figure: Figure to draw.
        name: Salt of the IDs, which makes the output reproducible.
    """
    data = BytesIO()
    plain_texts(figure)
    with without_glyph_warnings(), matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(data, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return data.getvalue().decode("utf-8")


@lru_cache(maxsize=32)
def chart_svg(chart: Chart) -> str:
    """Return a chart as SVG; cached, because the file and the page contain the same drawing."""
    return svg(chart.figure, chart.name)


def on_white(text: str) -> str:
    """Return an SVG with a white background."""
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', text, count=1)


def grid_figure(grid: ImageGrid) -> Figure:
    """Draw the groups of an image grid in rows, with headings above and captions below."""
    lines = max((len(tile.lines) for group in grid.groups for tile in group.tiles), default=0)
    step = 1 + LINE_HEIGHT * lines + 0.08
    columns = max(1, min(grid.columns, max((len(group.tiles) for group in grid.groups), default=1)))
    rows = list(_rows(grid.groups, columns, step))
    height = rows[-1][0] + step if rows else 1.0
    wide = max(columns, 2)  # room for the heading
    figure = Figure(figsize=(wide * TILE_INCHES, (height + 0.35) * TILE_INCHES))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.04, wide + 0.04), ylim=(height, -0.35))
    axes.set_axis_off()
    axes.text(wide / 2, -0.17, grid.title, ha="center", va="center", fontsize=10)
    for top, group, first in rows:
        if group.title and first == 0:
            axes.text(0, top - 0.05, group.title, ha="left", va="bottom", fontsize=8, weight="bold")
        for column, tile in enumerate(group.tiles[first : first + columns]):
            _draw_tile(axes, tile.image, column + (wide - columns) / 2, top, grid.pixelated)
            for number, line in enumerate(tile.lines):
                y = top + 1 + LINE_HEIGHT * (number + 0.5)
                axes.text(column + 0.49 + (wide - columns) / 2, y, line, ha="center", va="center", fontsize=6)
    return figure


def _rows(groups: Sequence[Group], columns: int, step: float) -> Iterator[tuple[float, Group, int]]:
    """Yield for each row of tiles its top, its group and the position of its first tile."""
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
