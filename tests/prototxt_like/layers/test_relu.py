from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "ReLU"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize("slope", [0.0, 0.1, -0.5])
def test_values_and_gradient(slope: float, make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(f'type: "ReLU" bottom: "x" relu_param {{ negative_slope: {slope} }}', (2, 3))
    x = torch.tensor([[-2.0, -1, 0], [0.5, 1, 3]], requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(layer(x), torch.where(x > 0, x, slope * x))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(x > 0, 1.0, slope))


def test_in_place_does_not_modify_the_input(make_layer: Callable[..., Layer]) -> None:
    """In place only affects blob names; the caller's tensor is not modified."""
    layer = make_layer('type: "ReLU" bottom: "top0"', (2, 3))
    x = torch.full((2, 3), -1.0)
    assert (layer(x) == 0).all()
    assert (x == -1).all()
