from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Flatten"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Flatten" bottom: "x" flatten_param { %s }'


@pytest.mark.parametrize(
    ("fields", "top"),
    [
        ("", (2, 105)),
        ("axis: 0", (210,)),
        ("axis: 2", (2, 3, 35)),
        ("axis: 1 end_axis: 2", (2, 21, 5)),
        ("axis: -3 end_axis: -2", (2, 21, 5)),
        ("axis: 3", (2, 3, 7, 5)),
        ("axis: 2 end_axis: 1", (2, 3, 1, 7, 5)),
    ],
)
def test_axes(fields: str, top: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % fields, (2, 3, 7, 5))
    x = torch.randn(2, 3, 7, 5)
    assert layer.top_shapes == [top]
    assert torch.equal(layer(x), x.reshape(top))
    assert torch.equal(layer(x.contiguous(memory_format=torch.channels_last)), x.reshape(top))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("end_axis 0 is before axis 2", TEXT % "axis: 2 end_axis: 0", (2, 3, 7))
    rejects("end_axis is 3", TEXT % "end_axis: 3", (2, 3, 7))
    rejects("cannot work in place", 'type: "Flatten" bottom: "top0"', (2, 3, 7))
