from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "SPP"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "SPP" bottom: "x" spp_param { %s }'


def test_sizes_divisible_by_the_windows(make_layer: Callable[..., Layer]) -> None:
    x = torch.rand(2, 3, 8, 12)
    layer = make_layer(TEXT % "pyramid_height: 3", x.shape)
    fine = x.unfold(2, 2, 2).unfold(3, 3, 3).amax((4, 5))
    middle = x.unfold(2, 4, 4).unfold(3, 6, 6).amax((4, 5))
    expected = torch.cat([x.amax((2, 3)), middle.flatten(1), fine.flatten(1)], 1)
    assert layer.top_shapes == [(2, 63)]
    assert torch.equal(layer(x), expected)


def test_one_level_keeps_four_axes(make_layer: Callable[..., Layer]) -> None:
    x = torch.rand(2, 3, 7, 5)
    layer = make_layer(TEXT % "pyramid_height: 1 pool: AVE", x.shape)
    assert layer.top_shapes == [(2, 3, 1, 1)]
    torch.testing.assert_close(layer(x), x.mean((2, 3), keepdim=True))


def test_stochastic(make_layer: Callable[..., Layer]) -> None:
    x = torch.rand(2, 3, 8, 4)
    weighed = make_layer(TEXT % "pyramid_height: 2 pool: STOCHASTIC", x.shape)(x)
    torch.testing.assert_close(weighed[:, :3], (x * x).sum((2, 3)) / x.sum((2, 3)))
    drawn = make_layer(TEXT % "pyramid_height: 2 pool: STOCHASTIC", x.shape, phase="TRAIN")(x)
    assert torch.isin(drawn, x).all()


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid pyramid_height: found 0", TEXT % "pyramid_height: 0", (2, 3, 8, 8))
    rejects("invalid pyramid_height: found 99", TEXT % "pyramid_height: 99", (2, 3, 8, 8))
    rejects("5 x 5 is too small for 4 x 4 windows", TEXT % "pyramid_height: 3", (2, 3, 5, 5))
    rejects("does not support padding", TEXT % "pyramid_height: 2 pool: STOCHASTIC", (2, 3, 7, 8))
    rejects("must have 4 axes", TEXT % "pyramid_height: 2", (2, 3, 8))
