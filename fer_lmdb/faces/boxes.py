"""Overlap of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of all pairs of boxes; 0 for boxes without area.

    Args:
        first: (M, 4) x, y, width, height.
        second: (N, 4) x, y, width, height.

    Returns:
        (M, N) float64, 0 to 1.
    """
    one, other = first[:, None], second[None]
    begin = np.maximum(one[..., :2], other[..., :2])
    end = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    intersection = (end - begin).clip(0).prod(axis=-1)
    union = one[..., 2:].prod(axis=-1) + other[..., 2:].prod(axis=-1) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
