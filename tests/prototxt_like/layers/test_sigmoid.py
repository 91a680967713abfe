from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Sigmoid"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_large_values(make_layer: Callable[..., Layer]) -> None:
    top = make_layer('type: "Sigmoid" bottom: "x"', (3,))(torch.tensor([-1000.0, 0, 1000]))
    assert top.tolist() == [0, 0.5, 1]
