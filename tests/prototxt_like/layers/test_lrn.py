from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from prototxt_like.layers import Layer

LAYER = "LRN"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "LRN" bottom: "x" lrn_param { %s }'


def test_across_channels_by_hand(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 7, 3, 4)
    top = make_layer(TEXT % "local_size: 5 alpha: 0.7 beta: 0.6 k: 2", x.shape)(x)
    squares = x.numpy() ** 2
    for channel in range(7):
        near = squares[:, max(0, channel - 2) : channel + 3].sum(1)
        expected = x.numpy()[:, channel] / (2 + 0.7 / 5 * near) ** 0.6
        np.testing.assert_allclose(top.numpy()[:, channel], expected, rtol=1e-5)


def test_within_channel_by_hand(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 5, 6)
    fields = "local_size: 3 alpha: 0.7 beta: 0.6 k: 9 norm_region: WITHIN_CHANNEL"
    top = make_layer(TEXT % fields, x.shape)(x)
    squares = x.numpy() ** 2
    for y, z in np.ndindex(5, 6):
        near = squares[:, :, max(0, y - 1) : y + 2, max(0, z - 1) : z + 2].sum((2, 3))
        expected = x.numpy()[:, :, y, z] / (1 + 0.7 / 9 * near) ** 0.6  # k is ignored
        np.testing.assert_allclose(top.numpy()[:, :, y, z], expected, rtol=1e-5)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid local_size: found 4, expected an odd number", TEXT % "local_size: 4", (2, 3, 5, 6))
    rejects("must have 4 axes", TEXT % "", (2, 3, 5))
