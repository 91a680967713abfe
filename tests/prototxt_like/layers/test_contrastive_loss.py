from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "ContrastiveLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "similar" contrastive_loss_param { %s }'


@pytest.mark.parametrize("legacy", [True, False])
def test_by_hand(legacy: bool, make_layer: Callable[..., Layer]) -> None:
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    similar = torch.tensor([1.0, 0, 0, 1, 0, 0])
    layer = make_layer(TEXT % f"margin: 2 legacy_version: {str(legacy).lower()}", (6, 3), (6, 3), (6,))
    squared = ((a - b) ** 2).sum(1)
    apart = (2 - squared).clamp(min=0) if legacy else (2 - squared.sqrt()).clamp(min=0) ** 2
    expected = torch.where(similar != 0, squared, apart).sum() / 12
    torch.testing.assert_close(layer(a, b, similar), expected)


@pytest.mark.parametrize("legacy", ["true", "false"])
def test_gradient_is_that_of_the_loss_away_from_zero(legacy: str, make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % f"margin: 9 legacy_version: {legacy}", (3, 2), (3, 2), (3,))
    a = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    b, similar = a.detach() + 1.5, torch.tensor([1.0, 0, 0])
    layer(a, b, similar).backward()
    assert a.grad is not None
    for item, axis in np.ndindex(3, 2):
        step = torch.zeros_like(a)
        step[item, axis] = 1e-4
        slope = (layer(a + step, b, similar) - layer(a - step, b, similar)) / 2e-4
        assert a.grad[item, axis].item() == pytest.approx(slope.item(), rel=1e-3, abs=1e-4)  # Caffe divides by d + 1e-4


def test_equal_features_have_a_finite_gradient(make_layer: Callable[..., Layer]) -> None:
    a = torch.zeros(1, 3, requires_grad=True)
    make_layer(TEXT % "", (1, 3), (1, 3), (1,))(a, torch.zeros(1, 3), torch.zeros(1)).backward()
    assert a.grad is not None
    assert a.grad.tolist() == [[0, 0, 0]]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("must both be N x C", TEXT % "", (4, 3), (4, 2), (4,))
    rejects("must both be N x C", TEXT % "", (4, 3, 2), (4, 3, 2), (4,))
    rejects("bottom 2 must hold one value", TEXT % "", (4, 3), (4, 3), (4, 2))
