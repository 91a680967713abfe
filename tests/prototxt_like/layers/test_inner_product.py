from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "InnerProduct"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


@pytest.mark.parametrize(
    ("fields", "top", "weight"),
    [
        ("", (2, 4), (4, 105)),
        ("axis: 0", (4,), (4, 210)),
        ("axis: -1", (2, 3, 7, 4), (4, 5)),
        ("axis: 2 transpose: true", (2, 3, 4), (35, 4)),
    ],
)
def test_shapes_and_values(
    fields: str, top: tuple[int, ...], weight: tuple[int, ...], make_layer: Callable[..., Layer]
) -> None:
    layer = make_layer(
        f'type: "InnerProduct" bottom: "x" inner_product_param {{ num_output: 4 {fields} '
        'weight_filler { type: "xavier" } bias_filler { type: "constant" value: 2 } }',
        (2, 3, 7, 5),
    )
    x = torch.randn(2, 3, 7, 5)
    assert layer.top_shapes == [top]
    matrix = layer.blobs[0].T if "transpose" in fields else layer.blobs[0]
    assert tuple(layer.blobs[0].shape) == weight
    expected = x.reshape(*top[:-1], matrix.shape[1]) @ matrix.T + 2
    torch.testing.assert_close(layer(x), expected)


def test_channels_last_is_flattened_in_caffes_order(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        'type: "InnerProduct" bottom: "x" inner_product_param { num_output: 4 weight_filler { type: "xavier" } }',
        (2, 3, 7, 5),
    )
    x = torch.randn(2, 3, 7, 5)
    torch.testing.assert_close(layer(x.contiguous(memory_format=torch.channels_last)), layer(x))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("num_output must be positive", 'type: "InnerProduct" bottom: "x"', (2, 3))
    text = 'type: "InnerProduct" bottom: "x" inner_product_param { num_output: 4 axis: 2 }'
    rejects("axis is 2, but the bottom has 2 axes; use -2 to 1", text, (2, 3))
