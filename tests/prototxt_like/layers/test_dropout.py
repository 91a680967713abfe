from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Dropout"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_train_keeps_the_mean(make_layer: Callable[..., Layer]) -> None:
    torch.manual_seed(2)
    layer = make_layer('type: "Dropout" bottom: "x" dropout_param { dropout_ratio: 0.4 }', (100, 1000), phase="TRAIN")
    top = layer(torch.ones(100, 1000))
    assert set(top.unique().tolist()) == {0.0, torch.tensor(1 / 0.6).item()}
    assert (top == 0).float().mean().item() == pytest.approx(0.4, abs=0.01)
    assert not torch.equal(layer(torch.ones(100, 1000)), top)


def test_test_phase_is_the_identity(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    assert torch.equal(make_layer('type: "Dropout" bottom: "x"', (2, 3))(x), x)


@pytest.mark.parametrize("ratio", [1.0, -0.1, float("nan")])
def test_errors(ratio: float, rejects: Callable[..., None]) -> None:
    text = f'type: "Dropout" bottom: "x" dropout_param {{ dropout_ratio: {ratio} }}'
    rejects("expected at least 0 and less than 1", text, (2, 3))
