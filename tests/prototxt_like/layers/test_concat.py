from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Concat"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Concat" bottom: "x" bottom: "y" '


@pytest.mark.parametrize("field", ["axis: 2", "axis: -1", "concat_dim: 2"])
def test_names_of_the_axis(field: str, make_layer: Callable[..., Layer]) -> None:
    x, y = torch.randn(2, 3, 5), torch.randn(2, 3, 4)
    layer = make_layer(f"{TEXT} concat_param {{ {field} }}", (2, 3, 5), (2, 3, 4))
    assert layer.top_shapes == [(2, 3, 9)]
    assert torch.equal(layer(x, y), torch.cat([x, y], 2))


def test_one_bottom(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    assert torch.equal(make_layer('type: "Concat" bottom: "x"', (2, 3))(x), x)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("may differ in axis 1 only; bottom 0 is 2 x 3, bottom 1 is 4 x 3", TEXT, (2, 3), (4, 3))
    rejects("may differ in axis 1 only", TEXT, (2, 3), (2, 3, 1))
    rejects("axis and concat_dim are both set", f"{TEXT} concat_param {{ axis: 1 concat_dim: 1 }}", (2, 3), (2, 3))
    rejects("concat_dim is 2", f"{TEXT} concat_param {{ concat_dim: 2 }}", (2, 3), (2, 3))
