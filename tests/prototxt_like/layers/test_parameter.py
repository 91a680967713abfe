from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prototxt_like.layers import Layer

LAYER = "Parameter"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }'


def test_starts_at_zero_and_is_learned(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT)
    layer().sum().backward()
    (blob,) = layer.blobs
    assert (blob == 0).all()
    assert blob.grad is not None
    assert (blob.grad == 1).all()


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("blob 0 would be empty: shape 2 x 0", 'type: "Parameter" parameter_param { shape { dim: 2 dim: 0 } }')
