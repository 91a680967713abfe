from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Eltwise"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def text(bottoms: int, fields: str) -> str:
    names = " ".join(f'bottom: "x{index}"' for index in range(bottoms))
    return f'type: "Eltwise" {names} eltwise_param {{ {fields} }}'


@pytest.mark.parametrize("operation", ["SUM", "PROD", "MAX"])
def test_three_bottoms(operation: str, make_layer: Callable[..., Layer]) -> None:
    bottoms = [torch.randn(2, 3, 5) for _ in range(3)]
    top = make_layer(text(3, f"operation: {operation}"), *[(2, 3, 5)] * 3)(*bottoms)
    stacked = torch.stack(bottoms)
    expected = {"SUM": stacked.sum(0), "PROD": stacked.prod(0), "MAX": stacked.amax(0)}[operation]
    torch.testing.assert_close(top, expected)


def test_equal_values_send_the_gradient_to_one(make_layer: Callable[..., Layer]) -> None:
    bottoms = [torch.ones(2, 2, requires_grad=True) for _ in range(3)]
    make_layer(text(3, "operation: MAX"), *[(2, 2)] * 3)(*bottoms).sum().backward()
    assert [float(b.grad.sum()) for b in bottoms if b.grad is not None] == [0, 4, 0]


def test_a_product_with_zeros_has_a_finite_gradient(make_layer: Callable[..., Layer]) -> None:
    zero, two = torch.zeros(2, requires_grad=True), torch.full((2,), 2.0, requires_grad=True)
    layer = make_layer(text(2, "operation: PROD stable_prod_grad: false"), (2,), (2,))
    layer(zero, two).sum().backward()
    assert zero.grad is not None
    assert zero.grad.tolist() == [2, 2]


def test_the_same_blob_twice(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    torch.testing.assert_close(make_layer(text(2, "coeff: 1 coeff: -1"), (2, 3), (2, 3))(x, x), torch.zeros(2, 3))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("1 coeff for 2 bottoms", text(2, "coeff: 1"), (2, 3), (2, 3))
    rejects("PROD does not support coeff", text(2, "operation: PROD coeff: 1 coeff: 1"), (2, 3), (2, 3))
    rejects("bottom 0 is 2 x 3, bottom 1 is 3 x 2", text(2, ""), (2, 3), (3, 2))
    rejects("wrong number of bottoms: found 1, expected at least 2", text(1, ""), (2, 3))
