from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Log"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize(("fields", "base"), [("", math.e), ("base: 2", 2), ("base: 0.5", 0.5)])
def test_base_scale_and_shift(fields: str, base: float, make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([0.2, 1, 7])
    top = make_layer(f'type: "Log" bottom: "x" log_param {{ {fields} scale: 0.7 shift: 1.5 }}', (3,))(x)
    np.testing.assert_allclose(top.numpy(), np.log(1.5 + 0.7 * x.numpy()) / np.log(base), rtol=1e-6)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid base: found 1", 'type: "Log" bottom: "x" log_param { base: 1 }', (3,))
    rejects("expected a positive number, or -1 for e", 'type: "Log" bottom: "x" log_param { base: -3 }', (3,))
