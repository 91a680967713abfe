from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "Filter"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Filter" bottom: "x" bottom: "y" bottom: "selector"'


def test_several_blobs(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT, (4, 3), (4, 2, 5), (4, 1, 1), tops=2)
    x, y = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2, 5)
    first, second = layer(x, y, torch.tensor([0.0, 1, 0, -0.5]).reshape(4, 1, 1))
    first.sum().backward()
    assert torch.equal(first.detach(), x.detach()[[1, 3]])
    assert torch.equal(second, y[[1, 3]])
    assert x.grad is not None
    assert x.grad[:, 0].tolist() == [0, 1, 0, 1]


def test_no_item_selected(make_layer: Callable[..., Layer]) -> None:
    first, second = make_layer(TEXT, (4, 3), (4, 2), (4,), tops=2)(torch.randn(4, 3), torch.randn(4, 2), torch.zeros(4))
    assert first.shape == (0, 3)
    assert second.shape == (0, 2)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("found 1, expected 2, one per data bottom", TEXT, (4, 3), (4, 2), (4,))
    rejects(r"the selector \(last bottom\) must be N x 1", TEXT, (4, 3), (4, 2), (4, 2), tops=2)
    rejects("bottom 1 is 5 x 2, the selector 4", TEXT, (4, 3), (5, 2), (4,), tops=2)
