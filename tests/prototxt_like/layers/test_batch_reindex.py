from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "BatchReindex"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "BatchReindex" bottom: "x" bottom: "index"'


def test_gradients_of_repeated_items_are_summed(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(4, 3, requires_grad=True)
    top = make_layer(TEXT, (4, 3), (5,))(x, torch.tensor([2.0, 0, 2, 2, 3]))
    top.sum().backward()
    assert torch.equal(top.detach(), x.detach()[[2, 0, 2, 2, 3]])
    assert x.grad is not None
    assert x.grad[:, 0].tolist() == [1, 0, 3, 1]


@pytest.mark.parametrize("wrong", [4.0, -1.0])
def test_an_index_out_of_range_is_reported(wrong: float, make_layer: Callable[..., Layer]) -> None:
    with pytest.raises(NetError, match=rf'layer "it" .*item {wrong:g} is outside 0 to 3'):
        make_layer(TEXT, (4, 3), (2,))(torch.randn(4, 3), torch.tensor([0, wrong]))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("bottom 1 must have one axis", TEXT, (4, 3), (5, 1))
