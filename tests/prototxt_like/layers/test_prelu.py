from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "PReLU"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


def test_slopes(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "PReLU" bottom: "x"', (2, 3, 5))
    assert layer.blobs[0].tolist() == [0.25, 0.25, 0.25]
    shared = make_layer('type: "PReLU" bottom: "x" prelu_param { channel_shared: true }', (2, 3, 5))
    assert shared.blobs[0].shape == ()
    x = torch.randn(2, 3, 5)
    assert torch.equal(shared(x), layer(x))
    filled = make_layer('type: "PReLU" bottom: "x" prelu_param { filler { value: 0.1 } }', (2, 3))
    assert filled.blobs[0].tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("at least 2 axes", 'type: "PReLU" bottom: "x"', (5,))
