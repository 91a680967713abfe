from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

SHAPE = (2, 3, 4, 5)


def test_nearest(make_layer: Callable[..., Layer]) -> None:
    """Upsample of YOLO: top[y, x] = bottom[y / scale, x / scale]."""
    layer = make_layer('type: "Upsample" bottom: "x" upsample_param { scale: 3 }', SHAPE)
    assert layer.top_shapes == [(2, 3, 12, 15)]
    x = torch.randn(SHAPE, requires_grad=True)
    top = layer(x)
    gradient, upstream = torch.zeros(SHAPE), torch.randn(2, 3, 12, 15)
    for y, z in np.ndindex(12, 15):
        assert torch.equal(top[:, :, y, z], x[:, :, y // 3, z // 3])
        gradient[:, :, y // 3, z // 3] += upstream[:, :, y, z]
    top.backward(upstream)
    torch.testing.assert_close(x.grad, gradient)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ("scale: 2", (8, 10)),
        ("", (8, 10)),
        ("scale_h: 2 scale_w: 3", (8, 15)),
        ("scale: 2 pad_out_h: true", (7, 10)),
        ("upsample_h: 9 upsample_w: 11", (9, 11)),
    ],
)
def test_mask(fields: str, size: tuple[int, int], make_layer: Callable[..., Layer]) -> None:
    """Upsample of SegNet: top[mask[i]] = bottom[i], in order; bottom_diff[i] = top_diff[mask[i]]."""
    layer = make_layer(f'type: "Upsample" bottom: "x" bottom: "m" upsample_param {{ {fields} }}', SHAPE, SHAPE)
    assert layer.top_shapes == [(2, 3, *size)]
    generator = np.random.default_rng(1)
    mask = generator.integers(0, size[0] * size[1], SHAPE)
    x = torch.randn(SHAPE, requires_grad=True)
    top = layer(x, torch.from_numpy(mask).float())
    upstream = torch.randn(2, 3, *size)
    top.backward(upstream)
    expected, gradient = np.zeros((2, 3, size[0] * size[1]), np.float32), np.zeros(SHAPE, np.float32)
    for index in np.ndindex(*SHAPE):
        expected[(*index[:2], mask[index])] = x.detach().numpy()[index]
        gradient[index] = upstream.numpy().reshape(2, 3, -1)[(*index[:2], mask[index])]
    np.testing.assert_array_equal(top.detach().numpy().reshape(2, 3, -1), expected)
    np.testing.assert_array_equal(x.grad, gradient)


def test_it_undoes_max_pooling(make_layer: Callable[..., Layer]) -> None:
    pool = make_layer('type: "Pooling" bottom: "x" pooling_param { kernel_size: 2 stride: 2 }', (2, 3, 8, 6), tops=2)
    layer = make_layer('type: "Upsample" bottom: "x" bottom: "m" upsample_param { scale: 2 }', *[(2, 3, 4, 3)] * 2)
    x = torch.rand(2, 3, 8, 6)
    pooled, mask = pool(x)
    top = layer(pooled, mask)
    assert torch.equal(top[top > 0], x[top > 0])
    assert int((top > 0).sum()) == 2 * 3 * 4 * 3


@pytest.mark.parametrize(
    ("message", "bottoms", "fields"),
    [
        ("upsample_h belongs to SegNet's Upsample, which needs the pooling mask", 1, "upsample_h: 3 upsample_w: 3"),
        ("pad_out_h belongs to SegNet's", 1, "scale: 2 pad_out_h: true"),
        ("scale must be positive", 1, "scale: 0"),
        ("set both scale_h and scale_w", 2, "scale_h: 2"),
        ("pad_out_h and pad_out_w need scale 2", 2, "scale: 3 pad_out_h: true"),
    ],
)
def test_errors(message: str, bottoms: int, fields: str, rejects: Callable[..., None]) -> None:
    text = 'type: "Upsample" ' + 'bottom: "x" ' * bottoms + f"upsample_param {{ {fields} }}"
    rejects(message, text, *[SHAPE] * bottoms)


def test_mask_errors(rejects: Callable[..., None], make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Upsample" bottom: "x" bottom: "m" upsample_param { scale: 2 }'
    rejects("the mask must have the shape of the bottom", text, SHAPE, (2, 3, 4, 6))
    with pytest.raises(NetError, match="position in the mask 80 is outside 0 to 79"):
        make_layer(text, SHAPE, SHAPE)(torch.zeros(SHAPE), torch.full(SHAPE, 80.0))
