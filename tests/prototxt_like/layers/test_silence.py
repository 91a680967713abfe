from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Silence"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_any_number_of_blobs(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "Silence" bottom: "x" bottom: "y"', (2, 3), (5,), tops=0)
    assert layer(torch.randn(2, 3), torch.randn(5)) == ()
    assert layer.top_shapes == []
