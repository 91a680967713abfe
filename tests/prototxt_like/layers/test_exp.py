from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Exp"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize(("fields", "base"), [("", math.e), ("base: 2", 2), ("base: 0.5", 0.5)])
def test_base_scale_and_shift(fields: str, base: float, make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([-2.0, 0, 1.5])
    top = make_layer(f'type: "Exp" bottom: "x" exp_param {{ {fields} scale: 0.7 shift: 1.5 }}', (3,))(x)
    np.testing.assert_allclose(top.numpy(), base ** (1.5 + 0.7 * x.numpy()), rtol=1e-6)


@pytest.mark.parametrize("base", ["0", "-2", "inf", "nan"])
def test_errors(base: str, rejects: Callable[..., None]) -> None:
    rejects("expected a positive number, or -1 for e", f'type: "Exp" bottom: "x" exp_param {{ base: {base} }}', (3,))
