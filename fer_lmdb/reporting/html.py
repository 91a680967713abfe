"""Render a report as one self-contained HTML page: images, styles and charts are embedded."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from fer_lmdb._version import __version__
from fer_lmdb.reporting.elements import Chart, Page
from fer_lmdb.reporting.figure_files import chart_svg

POINTS_TO_PIXELS = 96 / 72
BLACK = "#000000"


def render(page: Page, command: str) -> str:
    """Return the HTML of a page.

    Args:
        page: Contents.
        command: Command line that creates the same report.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"data_uri": data_uri, "inline_svg": inline_svg, "anchor": anchor}
    style = Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(
        page=page, command=command, version=__version__, style=style, missing=page.missing()
    )


def data_uri(image: np.ndarray) -> str:
    """Return an image as a data URI (PNG).

    Args:
        image: (H, W) uint8 gray or (H, W, 3) uint8 RGB.
    """
    data = BytesIO()
    Image.fromarray(image).save(data, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


def inline_svg(chart: Chart) -> Markup:
    """Return a chart as inline SVG: black becomes the text color of the page, and IDs are unique."""
    text = chart_svg(chart)
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace(BLACK, "currentColor")
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}{chart.name}-")
    head = Markup('<svg role="img" aria-label="{}" fill="currentColor" style="width:{:.0f}px" viewBox="{}"').format(
        f"{chart.title}. {chart.caption}", *_size(text)
    )
    return head + Markup(re.sub(r"^<svg[^>]*", "", text))


def _size(text: str) -> tuple[float, str]:
    """Return the width of an SVG in CSS pixels and its viewBox."""
    box = re.search(r'viewBox="([^"]*)"', text)
    view = box.group(1) if box else "0 0 100 100"
    return float(view.split()[2]) * POINTS_TO_PIXELS, view


def anchor(title: str) -> str:
    """Return a title as an anchor name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
