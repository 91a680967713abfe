from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Split"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_in_place_is_rejected(rejects: Callable[..., None]) -> None:
    rejects("cannot work in place", 'type: "Split" bottom: "top1"', (2, 3), tops=2)


def test_one_top(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    assert torch.equal(make_layer('type: "Split" bottom: "x"', (2, 3))(x), x)
