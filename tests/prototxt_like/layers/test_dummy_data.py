from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "DummyData"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "DummyData" dummy_data_param { %s }'


def test_constants_are_fixed_and_random_values_change(make_layer: Callable[..., Layer]) -> None:
    fillers = 'data_filler { type: "constant" value: 3 } data_filler { type: "uniform" min: 1 max: 2 }'
    layer = make_layer(TEXT % f"shape {{ dim: 2 dim: 3 }} shape {{ dim: 50 }} {fillers}", tops=2)
    (same, first), (same_again, second) = layer(), layer()
    assert layer.top_shapes == [(2, 3), (50,)]
    assert torch.equal(same, torch.full((2, 3), 3.0))
    assert torch.equal(same, same_again)
    assert not torch.equal(first, second)
    assert 1 <= first.min() <= first.max() <= 2


def test_zeros_without_a_filler_are_not_saved(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "num: 2 channels: 3 height: 5 width: 7 width: 4", tops=2)
    assert layer.top_shapes == [(2, 3, 5, 7), (2, 3, 5, 4)]
    assert all((top == 0).all() for top in layer())
    assert layer.blobs == []
    assert layer.state_dict() == {}


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("shape has 0 values for 1 tops", TEXT % "")
    rejects("shape has 2 values for 3 tops", TEXT % "shape { dim: 1 } shape { dim: 2 }", tops=3)
    rejects("shape and num/channels/height/width are both set", TEXT % "shape { dim: 1 } num: 2")
    rejects("channels has 0 values", TEXT % "num: 2")
    rejects("would be empty", TEXT % "shape { dim: 0 }")
    rejects("unknown filler", TEXT % 'shape { dim: 1 } data_filler { type: "nothing" }')
