from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Crop"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Crop" bottom: "x" bottom: "like" crop_param { %s }'


@pytest.mark.parametrize(
    ("fields", "offsets"), [("", (0, 0)), ("offset: 2", (2, 2)), ("offset: 1 offset: 2", (1, 2)), ("axis: -2", (0, 0))]
)
def test_offsets(fields: str, offsets: tuple[int, int], make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 7, 6)
    top = make_layer(TEXT % fields, (2, 3, 7, 6), (5, 8, 4, 3))(x, torch.empty(5, 8, 4, 3))
    y, z = offsets
    assert torch.equal(top, x[:, :, y : y + 4, z : z + 3])


def test_from_the_first_axis(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "axis: 0 offset: 1 offset: 0", (4, 3), (2, 2))
    x = torch.randn(4, 3)
    assert torch.equal(layer(x, torch.empty(2, 2)), x[1:3, :2])


def test_errors(rejects: Callable[..., None]) -> None:
    shapes = ((2, 3, 7, 6), (2, 3, 4, 3))
    rejects("axis 3 of bottom 0 has 6 values; 3 from offset 4 exceed it", TEXT % "offset: 0 offset: 4", *shapes)
    rejects("offset has 3 values for 2 axes", TEXT % "offset: 0 offset: 0 offset: 0", *shapes)
    rejects("has fewer axes", TEXT % "axis: 1", (2, 3, 7), (2, 3))
    rejects("exceed it", TEXT % "", (2, 3, 4, 4), (2, 3, 5, 4))
