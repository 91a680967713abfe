from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Scale"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Scale" bottom: "x" scale_param { %s }'


@pytest.mark.parametrize(
    ("fields", "shape"), [("num_axes: 0", ()), ("num_axes: -1", (3, 7, 5)), ("axis: 2 num_axes: 2", (7, 5)), ("", (3,))]
)
def test_placement(fields: str, shape: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    filler = 'filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }'
    layer = make_layer(TEXT % f"{fields} bias_term: true {filler}", (2, 3, 7, 5))
    x = torch.randn(2, 3, 7, 5)
    factor, bias = layer.blobs
    assert factor.shape == bias.shape == shape
    wide = (slice(None), None, None) if shape == (3,) else (...,)
    torch.testing.assert_close(layer(x), x * factor[wide] + bias[wide])


def test_starts_at_one_and_zero(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 5)
    assert torch.equal(make_layer(TEXT % "bias_term: true", (2, 3, 5))(x), x)
    assert make_layer(TEXT % "filler { }", (2, 3, 5)).blobs[0].tolist() == [0, 0, 0]  # Caffe's constant filler is 0


def test_a_second_bottom_and_a_learnable_bias(make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Scale" bottom: "x" bottom: "y" scale_param { axis: 1 bias_term: true bias_filler { value: 2 } }'
    layer = make_layer(text, (2, 3, 5), (3,))
    x, y = torch.randn(2, 3, 5), torch.randn(3)
    assert [blob.shape for blob in layer.blobs] == [(3,)]
    torch.testing.assert_close(layer(x, y), x * y[:, None] + 2)


def test_a_scalar_bottom(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "Scale" bottom: "x" bottom: "y" scale_param { axis: 2 }', (2, 3), ())
    torch.testing.assert_close(layer(torch.ones(2, 3), torch.tensor(4.0)), torch.full((2, 3), 4.0))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("num_axes is 3 from axis 1", TEXT % "num_axes: 3", (2, 3, 7))
    rejects("axis is 3", TEXT % "axis: 3", (2, 3, 7))
    rejects("wrong shape of bottom 1: found 2, expected", 'type: "Scale" bottom: "x" bottom: "y"', (2, 3, 7), (2,))
