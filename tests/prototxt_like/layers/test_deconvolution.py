from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Deconvolution"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_is_the_transpose_of_convolution(make_layer: Callable[..., Layer]) -> None:
    """<conv(x), y> = <x, deconv(y)> for the same filters."""
    fields = "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0 bias_term: false dilation: 2"
    filler = 'weight_filler { type: "gaussian" std: 1 }'
    text = f'bottom: "x" convolution_param {{ num_output: %d group: 2 {fields} {filler} }}'
    convolution = make_layer('type: "Convolution" ' + text % 6, (2, 4, 9, 9))
    deconvolution = make_layer('type: "Deconvolution" ' + text % 4, convolution.top_shapes[0])
    with torch.no_grad():
        deconvolution.blobs[0].copy_(convolution.blobs[0])
    x, y = torch.randn(2, 4, 9, 9), torch.randn(convolution.top_shapes[0])
    assert deconvolution.top_shapes == [(2, 4, 9, 9)]
    torch.testing.assert_close((convolution(x) * y).sum(), (x * deconvolution(y)).sum(), rtol=1e-4, atol=1e-4)


def test_bilinear_filler_enlarges_a_plane_linearly(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        'type: "Deconvolution" bottom: "x" convolution_param { num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 '
        'bias_term: false weight_filler { type: "bilinear" } }',
        (1, 3, 5, 6),
    )
    x = torch.arange(6.0).expand(1, 3, 5, 6)
    inside = layer(x)[0, :, 2:-2, 1:-1]
    torch.testing.assert_close(inside, torch.arange(0.25, 5, 0.5).expand_as(inside))


def test_errors(rejects: Callable[..., None]) -> None:
    text = 'type: "Deconvolution" bottom: "x" convolution_param { num_output: 4 kernel_size: 2 pad: 3 }'
    rejects("the top would be empty", text, (2, 3, 4, 5))
