from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from prototxt_like.layers import Layer


@pytest.mark.parametrize("name", ["DepthwiseConvolution", "ConvolutionDepthwise"])
@pytest.mark.parametrize("group", ["", "group: 3"])
def test_every_channel_has_its_own_filters(name: str, group: str, make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        f'type: "{name}" bottom: "x" convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 stride: 2 {group} }}',
        (2, 3, 7, 5),
    )
    weight, bias = layer.blobs
    assert weight.shape == (6, 1, 3, 3)
    with torch.no_grad():
        weight.normal_()
        bias.normal_()
    x = torch.randn(2, 3, 7, 5, requires_grad=True)
    top = layer(x)
    # channel by channel, with two filters each
    single = [
        F.conv2d(x[:, i : i + 1], weight[2 * i : 2 * i + 2], bias[2 * i : 2 * i + 2], stride=2, padding=1)
        for i in range(3)
    ]
    torch.testing.assert_close(top, torch.cat(single, 1))
    upstream = torch.randn_like(top)
    gradients = torch.autograd.grad(top, [x, weight, bias], upstream)
    expected = torch.autograd.grad(torch.cat(single, 1), [x, weight, bias], upstream)
    torch.testing.assert_close(gradients, expected)


def test_another_group_is_an_error(rejects: Callable[..., None]) -> None:
    text = 'type: "DepthwiseConvolution" bottom: "x" convolution_param { num_output: 6 kernel_size: 3 group: 2 }'
    rejects("wrong group: found 2, expected 4, the number of channels", text, (2, 4, 7, 5))
