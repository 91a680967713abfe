from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Softmax"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sums_to_one(axis: int, make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 5) * 100
    top = make_layer(f'type: "Softmax" bottom: "x" softmax_param {{ axis: {axis} engine: CAFFE }}', (2, 3, 5))(x)
    torch.testing.assert_close(top.sum(axis), torch.ones_like(top.sum(axis)))
    assert torch.isfinite(top).all()


def test_is_exact_under_autocast(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        top = make_layer('type: "Softmax" bottom: "x"', (2, 3))(x)
    assert top.dtype == torch.float32
    torch.testing.assert_close(top, x.float().softmax(1))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("axis is 1, but the bottom has 1 axes", 'type: "Softmax" bottom: "x"', (5,))
