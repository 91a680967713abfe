from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Convolution"
Shape = tuple[int, ...]


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def correlate(x: np.ndarray, weight: np.ndarray, stride: int, pad: int, dilation: int) -> np.ndarray:
    """Return the convolution of (C, H, W) and (O, C, K, L) as (O, H', W'), in loops."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    outputs, channels, rows, columns = weight.shape
    height = (x.shape[1] - dilation * (rows - 1) - 1) // stride + 1
    width = (x.shape[2] - dilation * (columns - 1) - 1) // stride + 1
    top = np.zeros((outputs, height, width))
    for o, y, z, c, k, m in np.ndindex(outputs, height, width, channels, rows, columns):
        top[o, y, z] += weight[o, c, k, m] * x[c, y * stride + k * dilation, z * stride + m * dilation]
    return top


def test_against_loops(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        'type: "Convolution" bottom: "x" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride: 2 pad: 2 '
        'dilation: 2 weight_filler { type: "gaussian" std: 1 } bias_filler { type: "constant" value: 0.5 } }',
        (2, 3, 7, 6),
    )
    x = torch.randn(2, 3, 7, 6)
    weight = layer.blobs[0].detach().numpy()
    expected = np.stack([correlate(item.numpy(), weight, 2, 2, 2) + 0.5 for item in x])
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_groups_are_independent(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        'type: "Convolution" bottom: "x" convolution_param { num_output: 6 kernel_size: 1 group: 2 '
        'weight_filler { type: "xavier" } }',
        (1, 4, 3, 5),
    )
    x = torch.randn(1, 4, 3, 5)
    changed = x.clone()
    changed[:, :2] += 1
    difference = (layer(changed) - layer(x)).abs().amax((0, 2, 3))
    assert (difference[:3] > 0).all()
    assert (difference[3:] == 0).all()


@pytest.mark.parametrize(
    ("fields", "shape", "top", "weight"),
    [
        ("kernel_size: 3 axis: 0", (2, 7, 5), (4, 5, 3), (4, 2, 3, 3)),
        ("kernel_size: 3 axis: -2", (2, 3, 7, 5), (2, 3, 4, 3), (4, 7, 3)),
        ("kernel_size: 1 axis: -1", (2, 3, 7), (2, 3, 4), (4, 7)),
        ("kernel_size: 2 kernel_size: 3 stride: 1 stride: 2", (2, 3, 7, 5), (2, 4, 6, 2), (4, 3, 2, 3)),
        ("kernel_h: 2 kernel_w: 3 pad_w: 1", (2, 3, 7, 5), (2, 4, 6, 5), (4, 3, 2, 3)),
        ("kernel_size: 3 stride_h: 2 stride_w: 1", (2, 3, 7, 5), (2, 4, 3, 3), (4, 3, 3, 3)),
        ("kernel_size: 2 force_nd_im2col: true engine: CUDNN", (2, 3, 7, 5), (2, 4, 6, 4), (4, 3, 2, 2)),
        ("kernel_size: 2 dilation: 1 dilation: 3", (2, 3, 7, 5), (2, 4, 6, 2), (4, 3, 2, 2)),
        ("kernel_size: 2", (2, 3, 4, 5, 6), (2, 4, 3, 4, 5), (4, 3, 2, 2, 2)),
    ],
)
def test_shapes(
    fields: str,
    shape: Shape,
    top: Shape,
    weight: Shape,
    make_layer: Callable[..., Layer],
) -> None:
    layer = make_layer(f'type: "Convolution" bottom: "x" convolution_param {{ num_output: 4 {fields} }}', shape)
    assert layer.top_shapes == [top]
    assert tuple(layer(torch.randn(shape)).shape) == top
    assert tuple(layer.blobs[0].shape) == weight


def test_several_bottoms_share_the_filters(make_layer: Callable[..., Layer]) -> None:
    text = (
        'type: "Convolution" bottom: "x" bottom: "y" convolution_param { num_output: 4 kernel_size: 2 bias_term: false '
        'weight_filler { type: "xavier" } }'
    )
    layer = make_layer(text, (2, 3, 7, 5), (2, 3, 7, 5), tops=2)
    x = torch.randn(2, 3, 7, 5)
    first, second = layer(x, 2 * x)
    torch.testing.assert_close(second, 2 * first)
    assert len(layer.blobs) == 1


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("num_output must be positive", "kernel_size: 3"),
        ("kernel_size has 0 values for 2 spatial axes", "num_output: 4"),
        ("kernel_size has 3 values", "num_output: 4 kernel_size: 1 kernel_size: 1 kernel_size: 1"),
        ("kernel_size and kernel_h/kernel_w are both set", "num_output: 4 kernel_size: 3 kernel_h: 3"),
        ("stride and stride_h/stride_w are both set", "num_output: 4 kernel_size: 3 stride: 1 stride_h: 3"),
        ("pad and pad_h/pad_w are both set", "num_output: 4 kernel_size: 3 pad: 1 pad_w: 3"),
        ("kernel_size is 3 x 0; every value must be positive", "num_output: 4 kernel_h: 3"),
        ("stride is 0 x 0; every value must be positive", "num_output: 4 kernel_size: 3 stride: 0"),
        ("dilation is 0 x 0; every value must be positive", "num_output: 4 kernel_size: 3 dilation: 0"),
        ("group 2 must divide both the 3 channels and num_output 4", "num_output: 4 kernel_size: 3 group: 2"),
        ("group 0 must divide", "num_output: 4 kernel_size: 3 group: 0"),
        ("kernel 9 x 9 exceeds the bottom 7 x 5 with pad 1 x 1", "num_output: 4 kernel_size: 9 pad: 1"),
        ("axis is 4, but the bottom has 4 axes; use -4 to 3", "num_output: 4 kernel_size: 3 axis: 4"),
        (
            'unknown filler "xavir"; did you mean "xavier"',
            'num_output: 4 kernel_size: 3 weight_filler { type: "xavir" }',
        ),
    ],
)
def test_errors(message: str, fields: str, rejects: Callable[..., None]) -> None:
    rejects(message, f'type: "Convolution" bottom: "x" convolution_param {{ {fields} }}', (2, 3, 7, 5))


def test_height_and_width_require_two_spatial_axes(rejects: Callable[..., None]) -> None:
    text = 'type: "Convolution" bottom: "x" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 3 }'
    rejects("kernel_h and kernel_w need 2 spatial axes, the bottom has 1", text, (2, 3, 7))
    text = 'type: "Convolution" bottom: "x" convolution_param { num_output: 4 kernel_size: 1 }'
    rejects("too many spatial axes: found 4, expected at most 3", text, (1, 2, 3, 4, 5, 6))


def test_one_top_per_bottom(rejects: Callable[..., None]) -> None:
    text = 'type: "Convolution" bottom: "x" bottom: "y" convolution_param { num_output: 4 kernel_size: 1 }'
    rejects("wrong number of tops: found 1, expected 2, one per bottom", text, (2, 3, 7, 5), (2, 3, 7, 5))
    rejects("bottoms must have the same shape", text, (2, 3, 7, 5), (2, 3, 7, 6), tops=2)
