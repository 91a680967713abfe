"""Arithmetic on boxes, whole arrays at a time.

A table of proposals is (M, 6) float64: picture, x1, y1, x2, y2, score.
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
    """Order of the rows: picture by picture, best score first; of equal scores the later one first, as the original.

    Equal scores do occur: near 1 a float32 has few values.
    """
    backwards = table[::-1]
    return len(table) - 1 - np.lexsort((-backwards[:, SCORE], backwards[:, IMAGE]))


def suppress(table: Proposals, threshold: float, *, smaller_area: bool = False) -> Proposals:
    """Drop every box that overlaps a better one of its picture by more than the threshold.

    A box that is itself dropped still counts as a better one: that is what the original does (it is not the usual
    greedy suppression), and it is what makes this a single pass without an order of events.

    Args:
        table: (M, 6) proposals.
        threshold: largest allowed intersection / union.
        smaller_area: divide the intersection by the smaller area instead of the union.

    Returns:
        (M', 6) what is left, picture by picture, best score first. Extra columns behind the sixth are kept.

    Source: mtcnn 1.0.0, mtcnn/utils/bboxes.py, functions nms and iou
    """
    table = table[sort_by_score(table)]
    dropped = np.zeros(len(table), bool)
    for first, second in _candidate_pairs(table):
        worse = np.maximum(first, second)  # rows are sorted: the later one has the lower score
        dropped[worse[_overlap(table[first], table[second], smaller_area) > threshold]] = True
    return table[~dropped]


def make_square(table: Proposals) -> Proposals:
    """Grow the shorter side of every box around its centre to the length of the longer one."""
    square = table.copy()
    width, height = table[:, X2] - table[:, X1], table[:, Y2] - table[:, Y1]
    side = np.maximum(width, height)
    square[:, X1] += width * 0.5 - side * 0.5
    square[:, Y1] += height * 0.5 - side * 0.5
    square[:, X2] = square[:, X1] + side
    square[:, Y2] = square[:, Y1] + side
    return square


def sizes(table: Proposals) -> tuple[Proposals, Proposals]:
    """Width and height of every box as the original counts them: corner pixels included."""
    return table[:, X2] - table[:, X1] + 1, table[:, Y2] - table[:, Y1] + 1


def shift_edges(table: Proposals, shifts: NDArray[np.float32]) -> Proposals:
    """Move the edges of every box.

    Args:
        table: (M, 6) proposals.
        shifts: (M, 4) for x1, y1, x2, y2 in units of width and height.
    """
    width, height = sizes(table)
    moved = table.copy()
    moved[:, X1 : Y2 + 1] += shifts * np.stack([width, height, width, height], axis=1)
    return moved


def clip(table: Proposals, height: int, width: int) -> Proposals:
    """Cut every box to the picture; the last pixel is the right and lower limit."""
    clipped = table.copy()
    clipped[:, [X1, X2]] = table[:, [X1, X2]].clip(0, width - 1)
    clipped[:, [Y1, Y2]] = table[:, [Y1, Y2]].clip(0, height - 1)
    return clipped


def _candidate_pairs(table: Proposals) -> Iterator[tuple[Indices, Indices]]:
    """Yield pairs of rows whose boxes share a picture and some columns of it; others cannot overlap.

    Boxes are laid out along one line, picture after picture, and sorted by their left edge: the candidates of a
    box are then those that begin before it ends. That keeps the number of pairs near the number of real overlaps,
    whatever the size of the picture. Pairs come in portions to bound the memory.
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
        portion = count[start:stop]
        first = np.repeat(np.arange(start, stop), portion)
        second = first + 1 + np.arange(len(first)) - np.repeat(total[start:stop] - total[start], portion)
        yield order[first], order[second]
        start = stop


def _overlap(first: Proposals, second: Proposals, smaller_area: bool) -> Proposals:
    """Intersection over union (or over the smaller area) of boxes row by row; 0 where there is none."""
    width = np.minimum(first[:, X2], second[:, X2]) - np.maximum(first[:, X1], second[:, X1])
    height = np.minimum(first[:, Y2], second[:, Y2]) - np.maximum(first[:, Y1], second[:, Y1])
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    first_area = (first[:, X2] - first[:, X1]) * (first[:, Y2] - first[:, Y1])
    second_area = (second[:, X2] - second[:, X1]) * (second[:, Y2] - second[:, Y1])
    whole = np.minimum(first_area, second_area) if smaller_area else first_area + second_area - intersection
    return np.divide(intersection, whole, out=np.zeros_like(whole), where=intersection > 0)
