"""Tests of Caffe's fillers: bounds, distribution, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.layers.fillers import fill, filler_types
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

SHAPE = (30, 20, 5, 7)  # fan_in 700, fan_out 1050


def filled(shape: tuple[int, ...] = SHAPE, **fields: object) -> torch.Tensor:
    torch.manual_seed(3)
    tensor = torch.full(shape, math.nan)
    fill(tensor, FillerParameter(**fields))
    return tensor


def test_all_fillers_are_registered() -> None:
    assert filler_types() == ["bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier"]


def test_constant() -> None:
    assert (filled(type="constant", value=0.25) == 0.25).all()
    assert (filled() == 0).all()


def test_uniform() -> None:
    values = filled(type="uniform", min=-2, max=6)
    assert -2 <= float(values.min()) < -1.99
    assert 5.99 < float(values.max()) <= 6
    assert float(values.mean()) == pytest.approx(2, abs=0.1)


def test_gaussian() -> None:
    values = filled(type="gaussian", mean=5, std=0.5)
    assert float(values.mean()) == pytest.approx(5, abs=0.02)
    assert float(values.std()) == pytest.approx(0.5, rel=0.02)


def test_sparse_gaussian_keeps_a_fraction_by_the_number_of_outputs() -> None:
    values = filled(type="gaussian", std=1, sparse=3)
    assert float((values != 0).float().mean()) == pytest.approx(3 / 30, abs=0.01)


@pytest.mark.parametrize(("norm", "count"), [("FAN_IN", 700), ("FAN_OUT", 1050), ("AVERAGE", 875)])
def test_xavier_and_msra(norm: str, count: int) -> None:
    bound = math.sqrt(3 / count)
    values = filled(type="xavier", variance_norm=norm)
    assert -bound <= float(values.min()) < -0.999 * bound
    assert 0.999 * bound < float(values.max()) <= bound
    assert float(filled(type="msra", variance_norm=norm).std()) == pytest.approx(math.sqrt(2 / count), rel=0.02)


def test_fan_out_of_one_axis_is_the_count() -> None:
    bound = math.sqrt(3 / 5000)
    values = filled((5000,), type="xavier", variance_norm="FAN_OUT")
    assert 0.99 * bound < float(values.max()) <= bound


def test_positive_unitball() -> None:
    values = filled(type="positive_unitball")
    assert float(values.min()) >= 0
    torch.testing.assert_close(values.flatten(1).sum(1), torch.ones(30))


@pytest.mark.parametrize("side", [3, 4])
def test_bilinear(side: int) -> None:
    values = filled((2, 3, side, side), type="bilinear")
    factor = math.ceil(side / 2)
    center = (side - 1) / (2 * factor)
    line = np.array([1 - abs(x / factor - center) for x in range(side)])
    for plane in values.flatten(0, 1):
        np.testing.assert_allclose(plane.numpy(), np.outer(line, line), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        (SHAPE, {"type": "xavir"}, 'unknown filler "xavir"; did you mean "xavier"'),
        ((0, 3), {"type": "constant"}, r"shape \(0, 3\) is empty and cannot be filled"),
        (SHAPE, {"type": "uniform", "min": 2, "max": 1}, "min 2 is above its max 1"),
        (SHAPE, {"type": "uniform", "min": math.nan}, "found nan to 1, expected"),
        (SHAPE, {"type": "uniform", "max": math.inf}, "found 0 to inf"),
        (SHAPE, {"type": "uniform", "min": -3e38, "max": 3e38}, "a difference of at most 3.4e.38"),
        ((), {"type": "xavier"}, '"xavier" does not support scalar blobs'),
        ((), {"type": "msra"}, '"msra" does not support scalar blobs'),
        ((), {"type": "positive_unitball"}, "does not support scalar blobs"),
        ((), {"type": "gaussian", "sparse": 1}, '"gaussian" does not support scalar blobs'),
        (SHAPE, {"type": "gaussian", "std": -1}, "invalid std of the gaussian filler: found -1"),
        (SHAPE, {"type": "gaussian", "sparse": -5}, "invalid sparse of the gaussian filler: found -5"),
        (SHAPE, {"type": "msra", "sparse": 2}, '"msra" does not support "sparse"'),
        ((2, 3, 4, 5), {"type": "bilinear"}, "wrong shape for the bilinear filler"),
        ((4, 4), {"type": "bilinear"}, "wrong shape for the bilinear filler"),
    ],
)
def test_errors(shape: tuple[int, ...], fields: dict[str, object], message: str) -> None:
    with pytest.raises(pl.NetError, match=message):
        filled(shape, **fields)
