"""Figures as files: written atomically, with this program's mark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fer_lmdb.errors import ImageError
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.marks import figure_metadata

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure; an existing link is replaced, not its target.

    Args:
        figure: Figure.
        path: Output file; its suffix selects the format. Its folder is created.
        dpi: Resolution of a raster image in dots per inch.

    Raises:
        ImageError: If the file cannot be written, or matplotlib has no such format.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, sync=False) as partial:
            figure.savefig(partial, dpi=dpi, format=path.suffix[1:].lower(), **figure_metadata(path.suffix))
    except (OSError, ValueError) as error:
        raise ImageError(f"{printable_path(path)}: cannot be written: {error}") from error
