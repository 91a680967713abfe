from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Slice"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Slice" bottom: "x" slice_param { %s }'


@pytest.mark.parametrize("field", ["axis: 1", "axis: -2", "slice_dim: 1", ""])
def test_names_of_the_axis(field: str, make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % f"{field} slice_point: 1 slice_point: 4", (2, 6, 5), tops=3)
    x = torch.randn(2, 6, 5)
    assert layer.top_shapes == [(2, 1, 5), (2, 3, 5), (2, 2, 5)]
    for top, expected in zip(layer(x), (x[:, :1], x[:, 1:4], x[:, 4:]), strict=True):
        assert torch.equal(top, expected)


def test_equal_parts_of_the_batch_follow_the_batch(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "axis: 0", (4, 3), tops=2)
    assert [tuple(top.shape) for top in layer(torch.randn(6, 3))] == [(3, 3), (3, 3)]


def test_one_top(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    assert torch.equal(make_layer(TEXT % "", (2, 3))(x), x)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("axis 1 of size 5 cannot be split into 2 equal tops", TEXT % "", (2, 5), tops=2)
    rejects("wrong number of slice points: found 1, expected 2", TEXT % "slice_point: 2", (2, 5), tops=3)
    rejects("must be ascending and inside", TEXT % "slice_point: 3 slice_point: 2", (2, 5), tops=3)
    rejects("must be ascending and inside", TEXT % "slice_point: 5", (2, 5), tops=2)
    rejects("must be ascending and inside", TEXT % "slice_point: 0", (2, 5), tops=2)
    rejects("axis and slice_dim are both set", TEXT % "axis: 1 slice_dim: 1", (2, 6), tops=2)


def test_the_last_top_has_the_rest(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "axis: 0 slice_point: 2", (4, 3), tops=2)
    assert [len(top) for top in layer(torch.randn(7, 3))] == [2, 5]
