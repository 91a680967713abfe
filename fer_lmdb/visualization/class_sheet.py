"""Contact sheet of a data set: one row of faces per class, so that a wrong or swapped class is seen at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.faces.detectors.base import as_rgb
from fer_lmdb.io.pixels import from_planes
from fer_lmdb.visualization.canvas import Canvas, Rect
from fer_lmdb.visualization.colors import color_of

COLUMNS = 12
TILE = 72
GAP = 4
TITLE = 24
BACKGROUND = (250, 250, 250)
INK = (30, 30, 30)


class ClassSheet:
    """Collects the first faces of each class, and draws them.

    Args:
        classes: Class names in label order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.faces: list[list[NDArray[np.uint8]]] = [[] for _ in classes]
        self.counts = [0] * len(self.classes)

    def add(self, face: NDArray[np.uint8], label: int) -> None:
        """Add a face, (H, W) gray or (3, H, W) BGR uint8; faces beyond the width of the sheet are only counted."""
        self.counts[label] += 1
        if len(self.faces[label]) < COLUMNS:
            self.faces[label].append(_to_rgb_tile(face))

    def draw(self, split: str) -> NDArray[np.uint8]:
        """Draw the sheet.

        Args:
            split: Name of the split, for the titles.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        width, row_height = GAP + COLUMNS * (TILE + GAP), TITLE + TILE + GAP
        canvas = Canvas(np.full((GAP + len(self.classes) * row_height, width, 3), BACKGROUND, np.uint8))
        for label, name in enumerate(self.classes):
            top = GAP + label * row_height
            canvas.fill(Rect(GAP, top + 5, 14, TITLE - 10), color_of(name))
            title = f"{label} {name}: {self.counts[label]:,} in {split}"
            canvas.text(GAP + 20, top + TITLE / 2, title, INK, 14, bold=True, anchor="lm")
            for column, tile in enumerate(self.faces[label]):
                left = GAP + column * (TILE + GAP)
                canvas.pixels[top + TITLE : top + TITLE + TILE, left : left + TILE] = tile
        return canvas.finish()


def _to_rgb_tile(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = as_rgb(face if face.ndim == 2 else from_planes(face))
    interpolation = cv2.INTER_AREA if image.shape[0] > TILE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (TILE, TILE), interpolation=interpolation), np.uint8)
