from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "AbsVal"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_in_place_is_rejected_as_in_caffe(rejects: Callable[..., None]) -> None:
    rejects('cannot work in place; rename its top "top0"', 'type: "AbsVal" bottom: "top0"', (2, 3))


def test_gradient_at_zero(make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([-2.0, 0, 3], requires_grad=True)
    make_layer('type: "AbsVal" bottom: "x"', (3,))(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1, 0, 1]
