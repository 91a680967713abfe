from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from prototxt_like.layers import Layer

LAYER = "BNLL"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_large_values_do_not_overflow(make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([-1000.0, -30, 0, 30, 60, 1000], requires_grad=True)
    top = make_layer('type: "BNLL" bottom: "x"', (6,))(x)
    top.sum().backward()
    expected = np.logaddexp(0, x.detach().double().numpy())
    np.testing.assert_allclose(top.detach().numpy(), expected, rtol=1e-6)
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
