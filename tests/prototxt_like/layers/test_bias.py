from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Bias"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Bias" bottom: "x" bias_param { %s }'


def test_placement(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % 'axis: -2 num_axes: 1 filler { type: "gaussian" std: 1 }', (2, 3, 7, 5))
    x = torch.randn(2, 3, 7, 5)
    assert layer.blobs[0].shape == (7,)
    torch.testing.assert_close(layer(x), x + layer.blobs[0][:, None])


def test_starts_at_zero(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 7, 5)
    assert torch.equal(make_layer(TEXT % "", (2, 3, 7, 5))(x), x)


def test_a_second_bottom(make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Bias" bottom: "x" bottom: "y" bias_param { axis: 0 }'
    layer = make_layer(text, (2, 3, 5), (2, 3))
    x, y = torch.randn(2, 3, 5), torch.randn(2, 3)
    assert layer.blobs == []
    torch.testing.assert_close(layer(x, y), x + y[..., None])


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("num_axes is 2 from axis 3 .*use 0 to 1, or -1", TEXT % "axis: 3 num_axes: 2", (2, 3, 7, 5))
    rejects("num_axes is -2", TEXT % "num_axes: -2", (2, 3, 7, 5))
    rejects(
        "wrong shape of bottom 1: found 7 x 5, expected the sizes of bottom 0",
        'type: "Bias" bottom: "x" bottom: "y"',
        (2, 3, 7),
        (7, 5),
    )
