from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "LSTM"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


FILLERS = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 }'
TEXT = f'type: "LSTM" bottom: "x" bottom: "cont" %s recurrent_param {{ num_output: 4 {FILLERS} %s }}'


def test_equals_torch(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2))
    oracle = torch.nn.LSTM(3, 4)
    with torch.no_grad():  # torch orders the gates input, forget, candidate, output
        order = torch.tensor([*range(8), *range(12, 16), *range(8, 12)])
        oracle.weight_ih_l0.copy_(layer.blobs[0][order])
        oracle.bias_ih_l0.copy_(layer.blobs[1][order])
        oracle.weight_hh_l0.copy_(layer.blobs[2][order])
        oracle.bias_hh_l0.zero_()
    x = torch.randn(6, 2, 3)
    torch.testing.assert_close(layer(x, torch.ones(6, 2)), oracle(x)[0])


def test_continues_from_the_last_batch(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2))
    x = torch.randn(12, 2, 3)
    whole = make_layer(TEXT % ("", ""), (12, 2, 3), (12, 2))
    whole.load_state_dict(layer.state_dict())
    cont = torch.ones(12, 2)
    cont[0] = 0
    expected = whole(x, cont)
    parts = [layer(x[:6], cont[:6]), layer(x[6:], cont[6:])]
    torch.testing.assert_close(torch.cat(parts), expected)
    layer.reset()
    torch.testing.assert_close(layer(x[:6], torch.ones(6, 2)), expected[:6])


def test_cont_0_starts_a_new_sequence(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2))
    x = torch.randn(3, 2, 3).repeat(2, 1, 1)
    cont = torch.ones(6, 2)
    cont[0] = cont[3] = 0
    top = layer(x, cont)
    torch.testing.assert_close(top[3:], top[:3])


def test_another_batch_size_starts_from_zero(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2))
    layer(torch.randn(6, 2, 3), torch.ones(6, 2))
    x = torch.randn(6, 5, 3)
    first = layer(x, torch.ones(6, 5))
    layer.reset()
    torch.testing.assert_close(layer(x, torch.ones(6, 5)), first)


def test_states_are_not_saved_and_have_no_gradient(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % ("", ""), (6, 2, 3), (6, 2), phase="TRAIN")
    assert len(layer.state_dict()) == len(layer.blobs) == 3
    for _ in range(2):  # a graph that included the last batch would be freed
        layer(torch.randn(6, 2, 3), torch.ones(6, 2)).sum().backward()


def test_exposed_states(make_layer: Callable[..., Layer]) -> None:
    bottoms = 'bottom: "static" bottom: "h" bottom: "c"'
    state = (1, 2, 4)
    text = TEXT % (bottoms, "expose_hidden: true")
    layer = make_layer(text, (6, 2, 3), (6, 2), (2, 5), state, state, tops=3)
    zero = torch.zeros(state)
    x, static, cont = torch.randn(6, 2, 3), torch.randn(2, 5), torch.ones(6, 2)
    top, hidden, _ = layer(x, cont, static, zero, zero)
    assert layer.top_shapes == [(6, 2, 4), state, state]
    assert [blob.shape for blob in layer.blobs] == [(16, 3), (16,), (16, 5), (16, 4)]
    assert torch.equal(hidden[0], top[-1])
    assert torch.equal(layer(x, cont, static, zero, zero)[0], top)  # states are not stored


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("num_output must be positive", 'type: "LSTM" bottom: "x" bottom: "cont"', (6, 2, 3), (6, 2))
    rejects("bottom 1 T x N, found 6 x 2 x 3 and 6 x 3", TEXT % ("", ""), (6, 2, 3), (6, 3))
    rejects("needs features", TEXT % ("", ""), (6, 2), (6, 2))
    rejects("static input must be 2 x features", TEXT % ('bottom: "s"', ""), (6, 2, 3), (6, 2), (3, 5))
    rejects(
        "wrong number of bottoms: found 2, expected 4 to 5",
        TEXT % ("", "expose_hidden: true"),
        (6, 2, 3),
        (6, 2),
        tops=3,
    )
    states = ((1, 2, 4), (1, 2, 5))
    text = TEXT % ('bottom: "h" bottom: "c"', "expose_hidden: true")
    rejects("the states must be 1 x 2 x 4, found 1 x 2 x 5", text, (6, 2, 3), (6, 2), *states, tops=3)
    rejects("wrong number of tops: found 1, expected exactly 3", text, (6, 2, 3), (6, 2), *states)
