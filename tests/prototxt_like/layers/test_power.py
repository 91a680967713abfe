from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Power"
TEXT = 'type: "Power" bottom: "x" power_param { %s }'


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    # Caffe's gradient of an in-place Power with power 1 is wrong; the next test checks the correct one.
    wrong_in_caffe = ("gradient of x",) if golden_case.stem == "Power__edge_inplace_bug" else ()
    check_golden(golden_case, but=wrong_in_caffe)


def test_in_place_gradient_is_correct(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "Power" bottom: "top0" power_param { scale: 1.5 shift: 0.25 }', (3,))
    x = torch.tensor([1.0, -2, 3], requires_grad=True)
    top = layer(x)
    top.backward(torch.tensor([1.0, 10, 100]))
    assert top.tolist() == [1.75, -2.75, 4.75]
    assert x.grad is not None
    assert x.grad.tolist() == [1.5, 15, 150]


@pytest.mark.parametrize(("fields", "value"), [("power: 0", 1), ("scale: 0 shift: 3 power: 2", 9), ("scale: 0", 0)])
def test_constants(fields: str, value: float, make_layer: Callable[..., Layer]) -> None:
    top = make_layer(TEXT % fields, (2, 3))(torch.full((2, 3), float("nan")))
    assert torch.equal(top, torch.full((2, 3), float(value)))


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ("shift: 1e30 power: 1e30", math.inf),
        ("shift: -1e30 power: 3", -math.inf),
        ("shift: 2 power: inf", math.inf),
        ("shift: -2 power: -inf", 0),
        ("shift: 0.5 power: 1e30", 0),
    ],
)
def test_constants_beyond_float32_are_infinite(fields: str, value: float, make_layer: Callable[..., Layer]) -> None:
    assert torch.equal(make_layer(TEXT % f"scale: 0 {fields}", (3,))(torch.zeros(3)), torch.full((3,), value))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("which divides by 0", TEXT % "scale: 0 power: -1", (3,))
    rejects("shift -2 to the power 0.5 is undefined", TEXT % "scale: 0 shift: -2 power: 0.5", (3,))
