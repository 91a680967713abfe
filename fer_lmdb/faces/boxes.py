"""Overlap and limits of boxes."""

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


def clip_box(box: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Clip a box to an image; the last pixel is the right and lower limit, as in the results of MTCNN.

    Args:
        box: (4,) x, y, width, height in pixels.
        width: Width of the image in pixels.
        height: Height of the image in pixels.

    Returns:
        (4,) float32; its size is 0 if the box is outside.
    """
    limit = np.array([width - 1, height - 1], np.float32)
    first = box[:2].clip(0, limit)
    last = (box[:2] + box[2:]).clip(0, limit)
    return np.concatenate([first, last - first]).astype(np.float32)
