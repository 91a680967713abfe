"""Vectorized box arithmetic.

A table of proposals is (M, 6) float64: image, x1, y1, x2, y2, score.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Proposals = NDArray[np.float64]
Indices = NDArray[np.int64]

IMAGE, X1, Y1, X2, Y2, SCORE = range(6)
PAIRS_AT_ONCE = 1_000_000


def sort_by_score(table: Proposals) -> Indices:
    """Return the order of the rows by image, then by descending score; of equal scores the later row comes first.

    The order of equal scores is that of the original. They do occur: float32 has few values near 1.
    """
    backwards = table[::-1]
    return len(table) - 1 - np.lexsort((-backwards[:, SCORE], backwards[:, IMAGE]))


def suppress(table: Proposals, threshold: float, *, smaller_area: bool = False) -> Proposals:
    """Drop every box that overlaps a box of the same image and a higher score by more than the threshold.

    A dropped box still suppresses others, as in the original. This differs from greedy non-maximum suppression, and
    allows a single vectorized pass.

    Args:
        table: (M, 6) proposals.
        threshold: Maximum intersection over union, 0 to 1.
        smaller_area: Whether to divide the intersection by the smaller area instead of the union.

    Returns:
        (M', 6) remaining proposals by image, highest score first. Columns after the sixth are preserved.

    Source: mtcnn 1.0.0, mtcnn/utils/bboxes.py, functions nms and iou
    """
    table = table[sort_by_score(table)]
    dropped = np.zeros(len(table), bool)
    for first, second in _candidate_pairs(table):
        worse = np.maximum(first, second)  # rows are sorted: the later row has the lower score
        dropped[worse[_overlap(table[first], table[second], smaller_area) > threshold]] = True
    return table[~dropped]


def make_square(table: Proposals) -> Proposals:
    """Extend the shorter side of each box around its center to the length of the longer one."""
    square = table.copy()
    width, height = table[:, X2] - table[:, X1], table[:, Y2] - table[:, Y1]
    side = np.maximum(width, height)
    square[:, X1] += width * 0.5 - side * 0.5
    square[:, Y1] += height * 0.5 - side * 0.5
    square[:, X2] = square[:, X1] + side
    square[:, Y2] = square[:, Y1] + side
    return square


def sizes(table: Proposals) -> tuple[Proposals, Proposals]:
    """Return the width and height of each box, both corner pixels included, as in the original."""
    return table[:, X2] - table[:, X1] + 1, table[:, Y2] - table[:, Y1] + 1


def shift_edges(table: Proposals, shifts: NDArray[np.float32]) -> Proposals:
    """Move the edges of each box.

    Args:
        table: (M, 6) proposals.
        shifts: (M, 4) offsets of x1, y1, x2, y2 in units of width and height.
    """
    width, height = sizes(table)
    moved = table.copy()
    moved[:, X1 : Y2 + 1] += shifts * np.stack([width, height, width, height], axis=1)
    return moved


def clip(table: Proposals, height: int, width: int) -> Proposals:
    """Clip each box to the image; the last pixel is the right and lower limit."""
    clipped = table.copy()
    clipped[:, [X1, X2]] = table[:, [X1, X2]].clip(0, width - 1)
    clipped[:, [Y1, Y2]] = table[:, [Y1, Y2]].clip(0, height - 1)
    return clipped


def _candidate_pairs(table: Proposals) -> Iterator[tuple[Indices, Indices]]:
    """Yield pairs of rows whose boxes share an image and some of its columns; other boxes cannot overlap.

    Boxes are placed on one axis, image after image, and sorted by their left edge. The candidates of a box are then
    those that begin before it ends, so the number of pairs is close to the number of actual overlaps for any image
    size. Pairs are yielded in chunks to bound the memory.
    """
    if len(table) < 2:
        return
    leftmost, rightmost = table[:, X1].min(), table[:, X2].max()
    origin = table[:, IMAGE] * (rightmost - leftmost + 1) - leftmost
    left, right = origin + table[:, X1], origin + table[:, X2]
    order = np.argsort(left, kind="stable")
    end = np.searchsorted(left[order], right[order], side="left")
    count = np.maximum(end - np.arange(len(table)) - 1, 0)
    total = np.concatenate([[0], np.cumsum(count)])
    start = 0
    while start < len(table):
        stop = max(start + 1, int(np.searchsorted(total, total[start] + PAIRS_AT_ONCE, side="right")) - 1)
        chunk = count[start:stop]
        first = np.repeat(np.arange(start, stop), chunk)
        second = first + 1 + np.arange(len(first)) - np.repeat(total[start:stop] - total[start], chunk)
        yield order[first], order[second]
        start = stop


def _overlap(first: Proposals, second: Proposals, smaller_area: bool) -> Proposals:
    """Return intersection over union (or over the smaller area) of boxes row by row.

    Not `fer_lmdb.faces.boxes.iou`: corners instead of sizes and the original's order of operations, so that results
    are bit-identical to the original's.
    """
    width = np.minimum(first[:, X2], second[:, X2]) - np.maximum(first[:, X1], second[:, X1])
    height = np.minimum(first[:, Y2], second[:, Y2]) - np.maximum(first[:, Y1], second[:, Y1])
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    first_area = (first[:, X2] - first[:, X1]) * (first[:, Y2] - first[:, Y1])
    second_area = (second[:, X2] - second[:, X1]) * (second[:, Y2] - second[:, Y1])
    area = np.minimum(first_area, second_area) if smaller_area else first_area + second_area - intersection
    return np.divide(intersection, area, out=np.zeros_like(area), where=intersection > 0)
