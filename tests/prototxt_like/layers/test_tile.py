from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Tile"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Tile" bottom: "x" tile_param { %s }'


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axes(axis: int, make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 5)
    layer = make_layer(TEXT % f"axis: {axis} tiles: 3", x.shape)
    repeats = [3 if index == axis % 3 else 1 for index in range(3)]
    assert torch.equal(layer(x), x.repeat(repeats))
    assert layer.top_shapes == [tuple(layer(x).shape)]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid tiles: found 0, expected 1 or more", TEXT % "", (2, 3))
    rejects("invalid tiles: found -1", TEXT % "tiles: -1", (2, 3))
