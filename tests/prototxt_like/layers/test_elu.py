from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "ELU"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_gradient_at_zero_is_alpha(make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([-1.0, 0, 2], requires_grad=True)
    top = make_layer('type: "ELU" bottom: "x" elu_param { alpha: 0.3 }', (3,))(x)
    top.sum().backward()
    assert top.tolist() == pytest.approx([0.3 * (math.exp(-1) - 1), 0, 2])
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([0.3 * math.exp(-1), 0.3, 1])
