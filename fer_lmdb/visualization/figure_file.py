"""Figures as files: written atomically, with this program's mark."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fer_lmdb.errors import ImageError, printable
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.marks import figure_metadata

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
    "Noto Emoji",
    "Segoe UI Emoji",
)
"""Fonts for characters that matplotlib's own font does not have; those that are installed are used."""


def plain_texts(figure: Figure) -> None:
    """Draw the texts of a figure literally: no formulas between dollar signs, other fonts for missing characters.

    Names of files and classes are user input.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        content = text.get_text()
        text.set_parse_math(False)
        if not content.isascii():
            text.set_text(printable(content))
            text.set_fontfamily(["DejaVu Sans", *_installed_fonts()])


@cache
def _installed_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return tuple(name for name in FALLBACK_FONTS if name in known)


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Let a character that no font has be a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure; an existing link is replaced, not its target.

    Args:
        figure: Figure.
        path: Output file; its suffix selects the format. Its folder is created.
        dpi: Resolution of a raster image in dots per inch.

    Raises:
        ImageError: If the file cannot be written, or matplotlib has no such format.
    """
    plain_texts(figure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, sync=False) as partial, without_glyph_warnings():
            figure.savefig(partial, dpi=dpi, format=path.suffix[1:].lower(), **figure_metadata(path.suffix))
    except (OSError, ValueError) as error:
        raise ImageError(f"{printable_path(path)}: cannot be written: {error}") from error
