from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer


def resize(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """caffe_cpu_interp2 of PSPNet's src/caffe/util/interp.cpp, for one plane."""
    h1, w1 = plane.shape
    rows = (h1 - 1) / (height - 1) if height > 1 else 0.0
    columns = (w1 - 1) / (width - 1) if width > 1 else 0.0
    top = np.zeros((height, width))
    for y in range(height):
        y1 = int(rows * y)
        below, dy = int(y1 < h1 - 1), rows * y - y1
        for x in range(width):
            x1 = int(columns * x)
            right, dx = int(x1 < w1 - 1), columns * x - x1
            top[y, x] = (1 - dy) * ((1 - dx) * plane[y1, x1] + dx * plane[y1, x1 + right]) + dy * (
                (1 - dx) * plane[y1 + below, x1] + dx * plane[y1 + below, x1 + right]
            )
    return top


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ("zoom_factor: 2", (13, 9)),
        ("shrink_factor: 2", (4, 3)),
        ("shrink_factor: 3 zoom_factor: 4", (9, 5)),
        ("height: 10 width: 3", (10, 3)),
        ("height: 1 width: 1", (1, 1)),
        ("zoom_factor: 2 height: 10 width: 3", (13, 9)),
        ("zoom_factor: 2 pad_beg: -1 pad_end: -2", (7, 3)),
    ],
)
def test_values_and_gradient(fields: str, size: tuple[int, int], make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(f'type: "Interp" bottom: "x" interp_param {{ {fields} }}', (2, 3, 7, 5))
    assert layer.top_shapes == [(2, 3, *size)]
    x = torch.randn(2, 3, 7, 5, dtype=torch.float64, requires_grad=True)
    top = layer(x)
    crop = (slice(1, 5), slice(1, 3)) if "pad" in fields else (slice(None), slice(None))
    expected = [[resize(plane[crop], *size) for plane in item] for item in x.detach().numpy()]
    np.testing.assert_allclose(top.detach().numpy(), expected, atol=1e-12)
    # The layer is linear, so the gradient is the transposed map, found value by value.
    weights = np.random.default_rng(1).standard_normal(size)
    (gradient,) = torch.autograd.grad(top[0, 0], x, torch.from_numpy(weights))
    for y, z in np.ndindex(7, 5):
        unit = np.zeros((7, 5))
        unit[y, z] = 1
        assert gradient[0, 0, y, z].item() == pytest.approx((resize(unit[crop], *size) * weights).sum(), abs=1e-12)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("set zoom_factor, shrink_factor, or height and width", ""),
        ("set zoom_factor, shrink_factor, or height and width", "height: 3"),
        ("must not be positive, because they crop", "zoom_factor: 2 pad_beg: 1"),
        ("crop all of the bottom 2 x 3 x 7 x 5", "zoom_factor: 2 pad_beg: -5"),
        ("shrink_factor and zoom_factor must be at least 1", "zoom_factor: 0"),
        ("height and width must be positive, found 0 x 3", "height: 0 width: 3"),
    ],
)
def test_errors(message: str, fields: str, rejects: Callable[..., None]) -> None:
    rejects(message, f'type: "Interp" bottom: "x" interp_param {{ {fields} }}', (2, 3, 7, 5))


def test_shape_errors(rejects: Callable[..., None]) -> None:
    rejects("must have 4 axes", 'type: "Interp" bottom: "x" interp_param { zoom_factor: 2 }', (2, 3, 7))
