from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "HingeLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "HingeLoss" bottom: "x" bottom: "label" hinge_loss_param { norm: %s }'


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_by_hand(norm: str, make_layer: Callable[..., Layer]) -> None:
    scores, labels = torch.randn(4, 3), torch.tensor([2.0, 0, 1, 1])
    expected = 0.0
    for item in range(4):
        for c in range(3):
            missing = max(0.0, 1 + scores[item, c].item() * (-1 if c == labels[item] else 1))
            expected += missing if norm == "L1" else missing**2
    loss = make_layer(TEXT % norm, (4, 3), (4,))(scores, labels)
    assert loss.item() == pytest.approx(expected / 4, rel=1e-5)


def test_errors(rejects: Callable[..., None], make_layer: Callable[..., Layer]) -> None:
    rejects("one label per item, found 4 x 2", TEXT % "L1", (4, 3), (4, 2))
    with pytest.raises(NetError, match="label 3 is outside 0 to 2"):
        make_layer(TEXT % "L1", (2, 3), (2,))(torch.randn(2, 3), torch.tensor([0, 3]))
