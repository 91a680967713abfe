from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

SHAPE = (3, 4, 2)


def reference(bottoms: list[np.ndarray], sigma: float) -> tuple[float, np.ndarray]:
    """Kernels SmoothL1Forward and SmoothL1Backward of smooth_L1_loss_layer.cu, value by value."""
    inside = bottoms[2] if len(bottoms) > 2 else np.ones(SHAPE)
    outside = bottoms[3] if len(bottoms) > 3 else np.ones(SHAPE)
    loss, gradient, sigma2 = 0.0, np.zeros(SHAPE), sigma * sigma
    for index in np.ndindex(*SHAPE):
        value = inside[index] * (bottoms[0][index] - bottoms[1][index])
        if abs(value) < 1 / sigma2:
            loss += outside[index] * 0.5 * value * value * sigma2
            derivative = sigma2 * value
        else:
            loss += outside[index] * (abs(value) - 0.5 / sigma2)
            derivative = np.sign(value)
        gradient[index] = derivative * inside[index] * outside[index]
    return loss / SHAPE[0], gradient / SHAPE[0]


@pytest.mark.parametrize("sigma", [1.0, 3.0])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_values_and_gradients(sigma: float, count: int, make_layer: Callable[..., Layer]) -> None:
    text = 'type: "SmoothL1Loss" ' + 'bottom: "x" ' * count + f"smooth_l1_loss_param {{ sigma: {sigma} }}"
    generator = np.random.default_rng(count)
    arrays = [generator.standard_normal(SHAPE) for _ in range(count)]
    bottoms = [torch.from_numpy(array).requires_grad_() for array in arrays]
    loss = make_layer(text, *[SHAPE] * count)(*bottoms)
    (2 * loss).backward()
    expected, gradient = reference(arrays, sigma)
    assert loss.item() == pytest.approx(expected)
    np.testing.assert_allclose(bottoms[0].grad, 2 * gradient)
    np.testing.assert_allclose(bottoms[1].grad, -2 * gradient)
    assert all(bottom.grad is None for bottom in bottoms[2:])


def test_errors(rejects: Callable[..., None]) -> None:
    text = 'type: "SmoothL1Loss" bottom: "x" bottom: "y"'
    rejects("all bottoms must have the same shape", text, (3, 4), (3, 5))
    rejects("sigma must not be 0", text + " smooth_l1_loss_param { sigma: 0 }", (3, 4), (3, 4))
