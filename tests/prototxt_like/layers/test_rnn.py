from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "RNN"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


FILLERS = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 }'
TEXT = f'type: "RNN" bottom: "x" bottom: "cont" %s recurrent_param {{ num_output: 4 {FILLERS} %s }}'


def test_equals_torch(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2))
    input_weight, bias, hidden_weight, output_weight, output_bias = layer.blobs
    oracle = torch.nn.RNN(3, 4)
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(input_weight)
        oracle.bias_ih_l0.copy_(bias)
        oracle.weight_hh_l0.copy_(hidden_weight)
        oracle.bias_hh_l0.zero_()
    x = torch.randn(6, 2, 3)
    expected = torch.tanh(oracle(x)[0] @ output_weight.T + output_bias)
    torch.testing.assert_close(layer(x, torch.ones(6, 2)), expected)


def test_exposed_state(make_layer: Callable[..., Layer]) -> None:
    state = (1, 2, 4)
    layer = make_layer(TEXT % ('bottom: "h"', "expose_hidden: true"), (6, 2, 3), (6, 2), state, tops=2)
    x, cont = torch.randn(6, 2, 3), torch.ones(6, 2)
    whole, _ = layer(x, cont, torch.zeros(state))
    first, middle = layer(x[:3], cont[:3], torch.zeros(state))
    second, _ = layer(x[3:], cont[3:], middle)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("wrong number of bottoms: found 4, expected 2 to 3", TEXT % ("", ""), (6, 2, 3), (6, 2), (2, 5), (2, 5))
