"""Images of stored data: a grid of captioned faces, a mean image."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.visualization.canvas import Canvas

TILE = 96
CAPTION = 20
COLUMNS = 8
MEAN_SIDE = 384
BACKGROUND = (250, 250, 250)
INK = (30, 30, 30)


def draw_mean(mean: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a mean image as RGB, upscaled.

    Args:
        mean: (1, H, W) gray or (3, H, W) BGR, 0 to 255.
    Returns:
        (H', W', 3) uint8 RGB.
    """
    image = np.clip(np.rint(mean), 0, 255).astype(np.uint8).transpose(1, 2, 0)  # (H, W, C)
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, 2::-1]
    zoom = max(1, MEAN_SIDE // max(rgb.shape[:2]))
    return np.asarray(np.repeat(np.repeat(rgb, zoom, axis=0), zoom, axis=1))


def draw_faces(faces: Iterable[tuple[NDArray[np.uint8], str]]) -> NDArray[np.uint8]:
    """Return a grid of faces, each with a caption below it.

    Args:
        faces: (H, W) uint8 gray face and caption of each.
    Returns:
        (H', W', 3) uint8 RGB.
    """
    shown = list(faces)
    rows = -(-len(shown) // COLUMNS)
    canvas = Canvas(
        np.full((max(rows, 1) * (TILE + CAPTION), min(len(shown), COLUMNS) * TILE, 3), BACKGROUND, np.uint8)
    )
    for number, (face, caption) in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        x, y = column * TILE, row * (TILE + CAPTION)
        tile = cv2.resize(face, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        canvas.pixels[y : y + TILE, x : x + TILE] = tile[:, :, np.newaxis]
        canvas.text(x + TILE / 2, y + TILE + CAPTION / 2, caption, INK, 12, anchor="mm")
    return canvas.finish()
