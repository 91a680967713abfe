from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Reduction"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Reduction" bottom: "x" reduction_param { %s }'


@pytest.mark.parametrize("operation", ["SUM", "ASUM", "SUMSQ", "MEAN"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_operations(operation: str, axis: int, make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 5)
    layer = make_layer(TEXT % f"operation: {operation} axis: {axis} coeff: -2", x.shape)
    rows = x.reshape(*x.shape[: axis % 3], -1)
    reduced = {"SUM": rows.sum(-1), "ASUM": rows.abs().sum(-1), "SUMSQ": (rows**2).sum(-1), "MEAN": rows.mean(-1)}
    torch.testing.assert_close(layer(x), -2 * reduced[operation])
    assert layer.top_shapes == [x.shape[: axis % 3]]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("axis is 2", TEXT % "axis: 2", (2, 3))
