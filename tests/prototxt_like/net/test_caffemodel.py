"""Tests for loading and saving caffemodels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.net.trained_layers import shape_equals

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } } } '
CONV = (
    'layer {{ name: "{0}" type: "Convolution" bottom: "x" top: "{0}" '
    "convolution_param {{ num_output: {1} kernel_size: 3 }} }} "
)


def net(*layers: tuple[str, int]) -> pl.Net:
    return pl.Net(pl.parse_net(INPUT + "".join(CONV.format(*pair) for pair in layers)))


def trained(*layers: tuple[str, int]) -> pl.NetParameter:
    it = net(*layers)
    with torch.no_grad():
        for blobs in it.params.values():
            for blob in blobs:
                blob.normal_()
    return pl.to_proto(it)


def test_loaded_missing_unused() -> None:
    it = net(("a", 4), ("b", 5))
    before = it.params["b"][0].clone()
    message = trained(("a", 4), ("c", 2))
    report = pl.load_weights(it, message)
    assert (report.loaded, report.missing, report.unused) == (["a"], ["b"], ["c"])
    np.testing.assert_array_equal(
        it.params["a"][0].detach().numpy().ravel(), np.array(message.layer[1].blobs[0].data, np.float32)
    )
    assert torch.equal(it.params["b"][0], before)


def test_a_shape_mismatch_changes_nothing() -> None:
    it = net(("a", 4), ("b", 5))
    before = it.params["a"][0].clone()
    with pytest.raises(pl.WeightsError) as caught:
        pl.load_weights(it, trained(("a", 4), ("b", 6)))
    assert str(caught.value) == (
        'layer "b" (Convolution): wrong shape of blob 0: found 6 x 3 x 3 x 3, expected 5 x 3 x 3 x 3; '
        "rename the layer to train it from scratch"
    )
    assert torch.equal(it.params["a"][0], before)


def test_wrong_number_of_blobs() -> None:
    message = trained(("a", 4))
    del message.layer[1].blobs[1]
    with pytest.raises(
        pl.WeightsError, match=r'wrong number of blobs for layer "a" \(Convolution\): found 1, expected 2'
    ):
        pl.load_weights(net(("a", 4)), message)
    del message.layer[1].blobs[0]
    with pytest.raises(pl.WeightsError, match="found 0, expected 2"):
        pl.load_weights(net(("a", 4)), message)


def test_a_count_that_contradicts_its_shape_is_an_error() -> None:
    message = trained(("a", 4))
    del message.layer[1].blobs[0].data[3:]
    with pytest.raises(
        pl.FileError, match=r'layer "a" \(Convolution\): blob 0 of the weights has the wrong number of values: found 3'
    ):
        pl.load_weights(net(("a", 4)), message)


@pytest.mark.parametrize(
    ("shape", "legacy", "equal"),
    [
        ((5,), (1, 1, 1, 5), True),
        ((7, 5), (1, 1, 7, 5), True),
        ((2, 3, 5, 7), (2, 3, 5, 7), True),
        ((2, 3, 5, 7), (2, 3, 7, 5), False),
        ((5,), (5, 1, 1, 1), False),
        ((35,), (1, 1, 7, 5), False),
        ((1, 1, 1, 1, 5), (1, 1, 1, 5), False),
    ],
)
def test_four_legacy_sizes_match_from_the_end(shape: tuple[int, ...], legacy: tuple[int, ...], equal: bool) -> None:
    blob = pl.BlobProto(num=legacy[0], channels=legacy[1], height=legacy[2], width=legacy[3])
    assert shape_equals(shape, blob) is equal


def test_nd_shapes_must_match_exactly() -> None:
    blob = pl.BlobProto()
    blob.shape.dim.extend([1, 1, 1, 5])
    assert not shape_equals((5,), blob)
    assert shape_equals((1, 1, 1, 5), blob)


def test_a_caffemodel_contains_the_net(tmp_path: Path) -> None:
    """A caffemodel can be loaded as a net with weights."""
    it = net(("a", 4), ("b", 5))
    pl.save_weights(it, tmp_path / "w.caffemodel")
    again = pl.Net(tmp_path / "w.caffemodel")
    x = torch.randn(2, 3, 5, 7)
    for name, value in it(x=x).items():
        assert torch.equal(again(x=x)[name], value)
    assert not any(layer.blobs for layer in again.proto.layer), "weights are stored once"


def test_half_precision_is_saved_as_float32() -> None:
    it = net(("a", 4)).to(torch.bfloat16)
    blob = pl.to_proto(it).layer[1].blobs[0]
    np.testing.assert_array_equal(np.array(blob.data, np.float32), it.params["a"][0].detach().float().numpy().ravel())


def test_weights_into_another_precision_and_layout() -> None:
    it = net(("a", 4)).to(torch.float64, memory_format=torch.channels_last)
    message = trained(("a", 4))
    pl.load_weights(it, message)
    assert it.params["a"][0].dtype == torch.float64
    assert it.params["a"][0].is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(it.params["a"][0].detach().numpy().ravel(), np.array(message.layer[1].blobs[0].data))


def test_invalid_caffemodel(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(pl.FileError, match="not a complete NetParameter"):
        pl.load_weights(net(("a", 4)), tmp_path / "w")
