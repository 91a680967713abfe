"""Tests for the shapes of Input and data layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from prototxt_like.net.inputs import DATA_TYPES, input_shapes


def shapes(layer: str, **given: tuple[int, ...]) -> list[tuple[int, ...]]:
    message = pl.parse_net(f'layer {{ name: "in" {layer} }}')
    return input_shapes(message.layer[0], given, None, message)


def test_input_layers() -> None:
    assert shapes('type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 } }') == [(2, 3)]
    assert shapes('type: "Input" top: "a" top: "b" input_param { shape { dim: 2 } }') == [(2,), (2,)]
    both = 'type: "Input" top: "a" top: "b" input_param { shape { dim: 2 } shape {} }'
    assert shapes(both) == [(2,), ()]
    assert shapes(both, b=(7, 5)) == [(2,), (7, 5)]
    with pytest.raises(pl.NetError, match="has 3 tops and 2 shapes"):
        shapes(both + ' top: "c"')


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ('type: "MemoryData" memory_data_param { batch_size: 5 channels: 2 height: 3 width: 7 }', (5, 2, 3, 7)),
        ('type: "ImageData" image_data_param { batch_size: 5 new_height: 3 new_width: 7 }', (5, 3, 3, 7)),
        ('type: "ImageData" image_data_param { is_color: false } transform_param { crop_size: 9 }', (1, 1, 9, 9)),
        ('type: "Data" data_param { batch_size: 4 } transform_param { crop_size: 9 force_gray: true }', (4, 1, 9, 9)),
        ('type: "Data" transform_param { crop_size: 9 force_color: true }', (1, 3, 9, 9)),
        ('type: "Data" transform_param { crop_size: 9 mean_value: 1 mean_value: 2 mean_value: 3 }', (1, 3, 9, 9)),
        ('type: "WindowData" window_data_param { batch_size: 6 } '
         "transform_param { crop_size: 9 mean_value: 1 mean_value: 2 }", (6, 2, 9, 9)),
        ('type: "AnnotatedData" data_param { batch_size: 2 } '
         "transform_param { force_color: true resize_param { height: 30 width: 40 } }", (2, 3, 30, 40)),
    ],
)  # fmt: skip
def test_data_layers_that_define_their_shape(layer: str, expected: tuple[int, ...]) -> None:
    assert shapes(layer + ' top: "data" top: "label"') == [expected, expected[:1]]


def test_shape_from_the_mean_image(tmp_path: Path) -> None:
    pl.write_mean(np.zeros((3, 5, 7), np.float32), tmp_path / "mean")
    layer = f'type: "Data" top: "data" transform_param {{ mean_file: "{tmp_path / "mean"}"'
    assert shapes(layer + " }") == [(1, 3, 5, 7)]
    assert shapes(layer + " crop_size: 4 }") == [(1, 3, 4, 4)]


def test_channels_from_the_weights() -> None:
    net = pl.parse_net(
        """
        layer { name: "data" type: "Data" top: "data" transform_param { crop_size: 8 } data_param { batch_size: 3 } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                convolution_param { num_output: 4 kernel_size: 5 group: 2 } }
        """
    )
    weights = pl.NetParameter()
    layer = weights.layer.add(name="c")
    layer.blobs.append(pl.array_to_blob(np.zeros((4, 3, 5, 5), np.float32)))
    layer.blobs.append(pl.array_to_blob(np.zeros(4, np.float32)))
    assert pl.Net(net, weights).input_shapes == {"data": (3, 6, 8, 8)}


def test_an_unknown_shape_is_an_error() -> None:
    with pytest.raises(pl.NetError, match=r'shape of "faces" is unknown.*input_shapes=\{"faces": \(batch, channels'):
        shapes('type: "Data" top: "faces"')
    with pytest.raises(pl.NetError, match='shape of "third" is unknown'):
        shapes('type: "HDF5Data" top: "a" top: "b" top: "third"', a=(1,), b=(1,))


def test_all_data_layers_of_caffe_are_supported() -> None:
    for name in DATA_TYPES:
        assert shapes(f'type: "{name}" top: "a"', a=(2, 3)) == [(2, 3)]
