from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from prototxt_like.layers import Layer

LAYER = "LSTMUnit"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "LSTMUnit" bottom: "cell" bottom: "gates" bottom: "cont"'


def test_by_hand(make_layer: Callable[..., Layer]) -> None:
    cell, gates, cont = torch.randn(1, 2, 3), torch.randn(1, 2, 12), torch.tensor([[0.0, 1.0]])
    new_cell, hidden = make_layer(TEXT, (1, 2, 3), (1, 2, 12), (1, 2), tops=2)(cell, gates, cont)
    i, f, o, g = (gates[..., 3 * k : 3 * k + 3] for k in range(4))
    expected = torch.sigmoid(f) * cell * cont[..., None] + torch.sigmoid(i) * torch.tanh(g)
    torch.testing.assert_close(new_cell, expected)
    torch.testing.assert_close(hidden, torch.sigmoid(o) * torch.tanh(expected))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects(r"bottom 0 \(the cell\) must be 1 x N x D", TEXT, (2, 2, 3), (1, 2, 12), (1, 2), tops=2)
    rejects(r"bottom 1 \(the gates\) must be 1 x 2 x 12", TEXT, (1, 2, 3), (1, 2, 9), (1, 2), tops=2)
    rejects(r"bottom 2 \(cont\) must be 1 x 2", TEXT, (1, 2, 3), (1, 2, 12), (2, 2), tops=2)
