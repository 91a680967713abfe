from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "Embed"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Embed" bottom: "x" embed_param { %s }'


def test_an_index_out_of_range_is_reported(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "num_output: 4 input_dim: 6", (2, 3))
    for wrong in (6.0, -1.0):
        with pytest.raises(NetError, match=rf"index {wrong:g} is outside 0 to 5"):
            layer(torch.full((2, 3), wrong))


def test_rows_and_bias(make_layer: Callable[..., Layer]) -> None:
    filler = 'weight_filler { type: "gaussian" std: 1 } bias_filler { value: 2 }'
    layer = make_layer(TEXT % f"num_output: 4 input_dim: 6 {filler}", (2, 3))
    index = torch.tensor([[0.0, 5, 2], [2, 2, 1]])
    torch.testing.assert_close(layer(index), layer.blobs[0][index.long()] + 2)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("must both be positive", TEXT % "num_output: 4", (2, 3))
    rejects("must both be positive", TEXT % "input_dim: 4", (2, 3))
