from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "MVN"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "MVN" bottom: "x" mvn_param { %s }'


@pytest.mark.parametrize("across", ["true", "false"])
def test_mean_and_variance(across: str, make_layer: Callable[..., Layer]) -> None:
    top = make_layer(TEXT % f"across_channels: {across}", (2, 3, 7, 5))(torch.randn(2, 3, 7, 5) * 3 + 2)
    axes = (1, 2, 3) if across == "true" else (2, 3)
    torch.testing.assert_close(top.mean(axes), torch.zeros_like(top.mean(axes)), rtol=0, atol=1e-5)
    torch.testing.assert_close(top.var(axes, correction=0), torch.ones_like(top.mean(axes)), rtol=1e-4, atol=0)


def test_mean_only(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 7, 5)
    top = make_layer(TEXT % "normalize_variance: false", x.shape)(x)
    torch.testing.assert_close(top, x - x.mean((2, 3), keepdim=True))


def test_a_constant_image_has_a_finite_gradient(make_layer: Callable[..., Layer]) -> None:
    x = torch.full((1, 2, 3, 4), 5.0, requires_grad=True)
    top = make_layer(TEXT % "", x.shape)(x)
    top.sum().backward()
    assert (top == 0).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_top_always_has_four_axes(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "across_channels: true", (2, 6))
    assert layer.top_shapes == [(2, 6, 1, 1)]
    assert layer(torch.randn(2, 6)).shape == (2, 6, 1, 1)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("at most 4 axes", TEXT % "", (1, 2, 3, 4, 5))
