from __future__ import annotations

from collections.abc import Callable

import torch

from prototxt_like.layers import Layer


def test_values_and_gradient(make_layer: Callable[..., Layer]) -> None:
    """Backward_cpu of the fork: top_diff * (bottom > 0 && bottom < 6)."""
    x = torch.tensor([-1.0, 0, 0.5, 5.9, 6, 7], requires_grad=True)
    top = make_layer('type: "ReLU6" bottom: "x"', (6,))(x)
    assert top.tolist() == [0, 0, 0.5, torch.tensor(5.9).item(), 6, 6]
    top.backward(torch.full((6,), 2.0))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 2, 2, 0, 0]
