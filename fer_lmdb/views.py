"""The views of a face whose probabilities are averaged.

1   the middle
2   the middle a little nearer, and its mirror image a little farther away
4   these, and the middle turned to one side, and its mirror image turned to the other
10  the four corners and the middle, each with its mirror image (Krizhevsky and others, 2012)

Two or four views that differ in more than one way are worth more than ten crops: docs/experiments.md.
"""

from __future__ import annotations

from torch import Tensor

import prototxt_like as pl

COUNTS = (1, 2, 4, 10)
NEARER, FARTHER = 1.08, 0.93
TURN = 8.0  # degrees


def of(faces: Tensor, transform: pl.Transform, count: int) -> list[Tensor]:
    """Cut and normalise faces, once for each view.

    Args:
        faces: (N, 1, H, W) uint8, grey.
        transform: the model's, of the TEST phase.
        count: one of ``COUNTS``.

    Returns:
        `count` batches of (N, C, crop, crop) float32.
    """
    if count == 1:
        return [transform(faces)]
    if count == 10:
        crops = [transform.at(faces, top, left) for top, left in _corners_and_middle(faces, transform)]
        return crops + [crop.flip(-1) for crop in crops]
    views = [transform.moved(faces, zoom=NEARER), transform.moved(faces, zoom=FARTHER).flip(-1)]
    if count == 4:
        views += [transform.moved(faces, degrees=-TURN), transform.moved(faces, degrees=TURN).flip(-1)]
    return views


def _corners_and_middle(faces: Tensor, transform: pl.Transform) -> list[tuple[int, int]]:
    height, width = faces.shape[-2:]
    bottom, right = height - (transform.crop[0] or height), width - (transform.crop[1] or width)
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
