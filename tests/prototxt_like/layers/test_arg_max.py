from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "ArgMax"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "ArgMax" bottom: "x" argmax_param { %s }'


@pytest.mark.parametrize(
    ("fields", "shape", "top"),
    [
        ("", (4,), (4, 1, 1)),
        ("", (4, 6), (4, 1, 1)),
        ("top_k: 2", (4, 6, 5), (4, 1, 2)),
        ("top_k: 2 out_max_val: true", (4, 3, 2, 5), (4, 2, 2, 1)),
        ("top_k: 2", (4, 3, 2, 5, 7), (4, 1, 2, 1, 1)),
        ("axis: -1 top_k: 2", (4, 3, 5), (4, 3, 2)),
        ("axis: 0 out_max_val: true", (4, 3), (1, 3)),
    ],
)
def test_shapes(fields: str, shape: tuple[int, ...], top: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % fields, shape)
    assert layer.top_shapes == [top]
    assert tuple(layer(torch.randn(shape)).shape) == top


def test_the_last_of_equal_values_comes_first(make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([[1.0, 3, 3, 0, 3]])
    top = make_layer(TEXT % "top_k: 4 out_max_val: true", (1, 5))(x)
    assert top.tolist() == [[[4, 2, 1, 0], [3, 3, 3, 1]]]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid top_k: found 0", TEXT % "top_k: 0", (4, 3))
    rejects("invalid top_k: found 16, expected 1 to 15", TEXT % "top_k: 16", (4, 3, 5))
    rejects("invalid top_k: found 4, expected 1 to 3", TEXT % "axis: 1 top_k: 4", (4, 3, 5))
    rejects("axis is 3", TEXT % "axis: 3", (4, 3, 5))
