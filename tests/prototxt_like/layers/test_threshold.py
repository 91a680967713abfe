from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Threshold"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_is_strict(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "Threshold" bottom: "x" threshold_param { threshold: 0.5 }', (3,))
    assert layer(torch.tensor([0.25, 0.5, 0.75])).tolist() == [0, 0, 1]
