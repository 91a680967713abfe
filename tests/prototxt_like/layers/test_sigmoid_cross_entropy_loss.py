from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "SigmoidCrossEntropyLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "target" loss_param { %s }'


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE", ""])
@pytest.mark.parametrize("ignore", [None, -1])
def test_every_normalization(mode: str, ignore: int | None, make_layer: Callable[..., Layer]) -> None:
    scores, targets = torch.randn(4, 3, 5), torch.rand(4, 3, 5)
    if ignore is not None:
        targets[0, :2] = -1.5  # truncated to -1
    fields = f"normalization: {mode} " if mode else ""
    layer = make_layer(
        TEXT % (fields + ("" if ignore is None else f"ignore_label: {ignore}")), scores.shape, scores.shape
    )
    p = torch.sigmoid(scores.double())
    each = -(targets * p.log() + (1 - targets) * (1 - p).log())
    valid = targets >= 0
    total = float(each[valid].sum())
    divisor = {"FULL": 60, "VALID": int(valid.sum()), "NONE": 1}.get(mode, 4)
    assert layer(scores, targets).item() == pytest.approx(total / divisor, rel=1e-5)


def test_large_scores_do_not_overflow(make_layer: Callable[..., Layer]) -> None:
    scores = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    loss = make_layer(TEXT % "", (1, 2), (1, 2))(scores, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert loss.item() == 2000
    assert scores.grad is not None
    assert scores.grad.tolist() == [[1, -1]]


def test_no_gradient_to_the_targets(make_layer: Callable[..., Layer]) -> None:
    targets = torch.rand(2, 3, requires_grad=True)
    scores = torch.randn(2, 3, requires_grad=True)
    make_layer(TEXT % "", (2, 3), (2, 3))(scores, targets).backward()
    assert targets.grad is None


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("the same number of values, found 4 x 3 and 4 x 2", TEXT % "", (4, 3), (4, 2))
