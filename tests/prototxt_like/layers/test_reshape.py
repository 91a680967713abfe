from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Reshape"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Reshape" bottom: "x" reshape_param { %s }'


def shape(*dims: int) -> str:
    return "shape { " + " ".join(f"dim: {size}" for size in dims) + " }"


@pytest.mark.parametrize(
    ("fields", "top"),
    [
        (shape(0, -1), (2, 40)),
        (shape(0, 0, 1, -1), (2, 8, 1, 5)),
        (shape(80), (80,)),
        (shape(-1, 0, 5), (2, 8, 5)),
        (shape(4, 2) + " axis: 1 num_axes: 1", (2, 4, 2, 5)),
        (shape(1) + " axis: 1 num_axes: 0", (2, 1, 8, 5)),
        (shape(1) + " axis: -1 num_axes: 0", (2, 8, 5, 1)),
        (shape(1, 1) + " axis: 0 num_axes: 0", (1, 1, 2, 8, 5)),
        ("axis: 1 num_axes: 0", (2, 8, 5)),
    ],
)
def test_shapes(fields: str, top: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % fields, (2, 8, 5))
    x = torch.randn(2, 8, 5)
    assert layer.top_shapes == [top]
    assert torch.equal(layer(x), x.reshape(top))


def test_a_copied_batch_axis_follows_the_batch(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % shape(0, 4, -1), (2, 8, 5))
    assert layer(torch.randn(7, 8, 5)).shape == (7, 4, 10)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("has 80 values, which do not match", shape(3, -1)),
        ("has 80 values, which do not match", shape(2, 5)),
        ("at most one -1", shape(-1, -1)),
        ("no lower values", shape(-2, 4)),
        ("copies axis 3, but the bottom has 3 axes", shape(0, 0, 5, 0)),
        ("axis 4, num_axes -1 exceed", shape(1) + " axis: 4"),
        ("axis -5", shape(1) + " axis: -5"),
        ("num_axes 3 exceed", shape(1) + " axis: 1 num_axes: 3"),
        ("num_axes -2", shape(1) + " num_axes: -2"),
    ],
)
def test_errors(message: str, fields: str, rejects: Callable[..., None]) -> None:
    rejects(message, TEXT % fields, (2, 8, 5))


def test_in_place_is_rejected(rejects: Callable[..., None]) -> None:
    rejects("cannot work in place", f'type: "Reshape" bottom: "top0" reshape_param {{ {shape(0, -1)} }}', (2, 8, 5))
