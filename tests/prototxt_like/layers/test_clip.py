from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.errors import PrototxtLikeError
from prototxt_like.layers import Layer

LAYER = "Clip"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Clip" bottom: "x" clip_param { %s }'


def test_gradient_is_one_on_the_bounds(make_layer: Callable[..., Layer]) -> None:
    x = torch.tensor([-2.0, -1, 0, 0.5, 1], requires_grad=True)
    top = make_layer(TEXT % "min: -1 max: 0.5", (5,))(x)
    top.sum().backward()
    assert top.tolist() == [-1, -1, 0, 0.5, 0.5]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("min 2 is above max 1", TEXT % "min: 2 max: 1", (5,))


@pytest.mark.parametrize("fields", ["min: 1", "max: 1", ""])
def test_both_bounds_are_required(fields: str, make_layer: Callable[..., Layer]) -> None:
    """The text parser rejects it, because both fields are required."""
    with pytest.raises(PrototxtLikeError, match=r"clip_param|min|max"):
        make_layer(TEXT % fields, (5,))
