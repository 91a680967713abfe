"""Intersection over union."""

from __future__ import annotations

import numpy as np

from fer_lmdb.faces.boxes import iou


def test_iou_of_all_pairs() -> None:
    first = np.array([[0.0, 0, 4, 2], [10, 10, 0, 0]])
    second = np.array([[2.0, 0, 4, 2], [0, 0, 4, 2], [4, 0, 1, 1]])
    np.testing.assert_allclose(iou(first, second), [[1 / 3, 1, 0], [0, 0, 0]])
    assert iou(first[:0], second).shape == (0, 3)
