from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Im2col"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Im2col" bottom: "x" convolution_param { %s }'


@pytest.mark.parametrize("fields", ["kernel_size: 3", "kernel_h: 2 kernel_w: 3 stride: 2 pad_h: 1 dilation: 2"])
def test_two_axes_as_unfold(fields: str, make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 9, 8)
    plain = fields == "kernel_size: 3"
    kernel, stride, pad, dilation = ((3, 3), 1, 0, 1) if plain else ((2, 3), 2, (1, 0), 2)
    layer = make_layer(TEXT % fields, x.shape)
    expected = torch.nn.functional.unfold(x, kernel, dilation, pad, stride)
    assert torch.equal(layer(x).flatten(2), expected)
    assert tuple(layer(x).shape) == layer.top_shapes[0]


def test_im2col_times_weights_is_a_3d_convolution(make_layer: Callable[..., Layer]) -> None:
    x, weight = torch.randn(2, 3, 5, 6, 4), torch.randn(7, 3, 2, 3, 2)
    columns = make_layer(TEXT % "kernel_size: 2 kernel_size: 3 kernel_size: 2 pad: 1", x.shape)(x)
    product = torch.einsum("ok,nkxyz->noxyz", weight.flatten(1), columns)
    torch.testing.assert_close(product, torch.nn.functional.conv3d(x, weight, padding=1), rtol=1e-4, atol=1e-4)


def test_another_channel_axis(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "kernel_size: 2 axis: 2", (2, 3, 4, 5))
    x = torch.randn(2, 3, 4, 5)
    assert layer.top_shapes == [(2, 3, 8, 4)]
    flat = make_layer(TEXT % "kernel_size: 2", (6, 4, 5))(x.reshape(6, 4, 5))
    assert torch.equal(layer(x), flat.reshape(2, 3, 8, 4))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("has no axis after the channels", TEXT % "kernel_size: 1", (2, 3))
    rejects("exceeds the bottom", TEXT % "kernel_size: 6", (2, 3, 5, 5))
