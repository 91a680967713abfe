from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "EuclideanLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "EuclideanLoss" bottom: "x" bottom: "y"'


def test_by_hand_and_gradients_to_both(make_layer: Callable[..., Layer]) -> None:
    x, y = torch.randn(4, 3, requires_grad=True), torch.randn(4, 1, 3, requires_grad=True)
    loss = make_layer(TEXT, (4, 3), (4, 1, 3))(x, y)
    loss.backward()
    difference = (x - y[:, 0]).detach()
    torch.testing.assert_close(loss.detach(), (difference**2).sum() / 8)
    assert x.grad is not None
    assert y.grad is not None
    torch.testing.assert_close(x.grad, difference / 4)
    torch.testing.assert_close(y.grad[:, 0], -difference / 4)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("the same number of values per item; bottom 0 is 4 x 3, bottom 1 is 4 x 2", TEXT, (4, 3), (4, 2))
    rejects("same first axis", TEXT, (4, 3), (3, 4))
