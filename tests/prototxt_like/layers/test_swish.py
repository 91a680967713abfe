from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Swish"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_beta(beta: float, make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    top = make_layer(f'type: "Swish" bottom: "x" swish_param {{ beta: {beta} }}', (2, 3))(x)
    torch.testing.assert_close(top, x / (1 + torch.exp(-beta * x)))
