"""Tests that oversized nets are rejected before memory is allocated."""

from __future__ import annotations

import resource
import time

import pytest

import prototxt_like as pl
from prototxt_like.limits import MAX_VALUES

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } } '


def big(kind: str, more: str) -> str:
    return f'{INPUT} layer {{ name: "big" type: "{kind}" bottom: "x" top: "y" {more} }}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (big("InnerProduct", "inner_product_param { num_output: 2000000000 }"), "larger than Caffe's limit"),
        (big("InnerProduct", "inner_product_param { num_output: 100000 }"), "more than 536870912 (values|parameters)"),
        (big("Convolution", "convolution_param { num_output: 2000000000 kernel_size: 1 }"), "Caffe's limit"),
        (big("Embed", "embed_param { num_output: 100000 input_dim: 100000 }"), "larger than Caffe's limit"),
        (big("Tile", "tile_param { tiles: 2000000000 }"), "larger than Caffe's limit"),
        (big("Pooling", "pooling_param { kernel_size: 1 stride: 2000000000 }"), "larger than Caffe's limit"),
        (big("Pooling", "pooling_param { kernel_size: 1 stride: 1000000 }"), "larger than Caffe's limit"),
        (big("Pooling", "pooling_param { kernel_size: 4294967295 }"), "kernel_size is too large: found 4294967295"),
        (big("LRN", "lrn_param { local_size: 4294967295 }"), "local_size is too large: found 4294967295"),
        (
            big("Slice", "slice_param { slice_point: 1 slice_point: 4294967295 }"),
            "slice_point is too large: found 4294967295",
        ),
        ('layer { type: "Input" top: "d" input_param { shape { dim: 0 dim: 2 } } }', "an axis below 1"),
        (
            big("Convolution", "convolution_param { num_output: 1 kernel_size: 1 pad: 1000000 }"),
            "Caffe's limit",
        ),
        (
            'layer { type: "DummyData" top: "d" dummy_data_param { shape { dim: 100000 dim: 20000 } } }',
            "more than 536870912 values",
        ),
        (
            'layer { type: "Parameter" top: "d" parameter_param { shape { dim: 100000 dim: 20000 } } }',
            "more than 536870912 values",
        ),
        (
            'layer { type: "Input" top: "d" input_param { shape { dim: 9999999999 dim: 2 } } }',
            "larger than Caffe's limit",
        ),
        ('layer { type: "Input" top: "d" input_param { shape { dim: -1 dim: 2 } } }', "an axis below 1"),
        (
            'layer { type: "Input" top: "d" input_param { shape { ' + "dim: 1 " * 33 + "} } }",
            "too many axes: found 33, expected at most 32",
        ),
    ],
)
def test_oversized_nets_are_rejected(text: str, message: str) -> None:
    pl.Net(pl.parse_net(INPUT))  # lazy imports do not count
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(pl.NetError, match=message):
        pl.Net(pl.parse_net(text))
    assert time.monotonic() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "KiB"


def test_many_layers_add_up() -> None:
    text = INPUT + "".join(
        f'layer {{ name: "i{index}" type: "InnerProduct" bottom: "x" top: "t{index}" '
        "inner_product_param { num_output: 3 bias_term: false } }"
        for index in range(4)
    )
    each = 3 * 3 * 64 * 64
    assert len(pl.Net(pl.parse_net(text), max_values=4 * each).params) == 4
    with pytest.raises(pl.NetError, match=r'layer "i3" \(InnerProduct\): blob of .* raise max_values'):
        pl.Net(pl.parse_net(text), max_values=4 * each - 1)


def test_the_limit_allows_the_largest_published_nets() -> None:
    assert MAX_VALUES > 3 * 144_000_000
    assert MAX_VALUES > 2 * 64 * 64 * 224 * 224
