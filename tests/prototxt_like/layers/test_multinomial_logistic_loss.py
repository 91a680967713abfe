from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "MultinomialLogisticLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "MultinomialLogisticLoss" bottom: "x" bottom: "label"'


def test_a_probability_of_zero_is_clamped_to_1e_20(make_layer: Callable[..., Layer]) -> None:
    probabilities = torch.tensor([[1.0, 0], [0.5, 0.5]], requires_grad=True)
    loss = make_layer(TEXT, (2, 2), (2,))(probabilities, torch.tensor([1.0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx((-math.log(1e-20) - math.log(0.5)) / 2, rel=1e-6)
    assert probabilities.grad is not None
    assert probabilities.grad.flatten().tolist() == pytest.approx([0, -0.5e20, -1, 0])


def test_errors(rejects: Callable[..., None], make_layer: Callable[..., Layer]) -> None:
    rejects("one label per item, found 4 x 2", TEXT, (4, 3), (4, 2))
    with pytest.raises(NetError, match="label -1 is outside 0 to 2"):
        make_layer(TEXT, (2, 3), (2,))(torch.rand(2, 3), torch.tensor([0, -1]))
