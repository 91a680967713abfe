"""LSTMUnit layer: one LSTM step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("LSTMUnit")
class LSTMUnit(Layer):
    """Compute the next cell and hidden state from the cell state, the gate inputs and ``cont``.

    Bottoms: cell (1, N, D), gates (1, N, 4 * D) in the order input, forget, output, candidate, cont (1, N).
    Tops: cell (1, N, D), hidden (1, N, D).

    Source: BVLC/caffe src/caffe/layers/lstm_unit_layer.cpp
    """

    min_bottoms = 3
    max_bottoms = 3
    min_tops = 2
    max_tops = 2
    restrictions = ("The gradient is exact for any `cont`; Caffe's gradient only for 0 and 1.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Check the bottoms."""
        cell, gates, cont = self.bottom_shapes
        if len(cell) != 3 or cell[0] != 1:
            self.fail_shape(f"bottom 0 (the cell) must be 1 x N x D, found {format_shape(cell)}")
        if gates != (1, cell[1], 4 * cell[2]):
            expected = format_shape((1, cell[1], 4 * cell[2]))
            self.fail_shape(f"bottom 1 (the gates) must be {expected}, found {format_shape(gates)}")
        if cont != (1, cell[1]):
            self.fail_shape(f"bottom 2 (cont) must be {format_shape((1, cell[1]))}, found {format_shape(cont)}")
        self.top_shapes = [cell, cell]

    def forward(self, cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one step."""
        return lstm_step(cell, gates, cont.detach())


def lstm_step(cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next cell and hidden state.

    Args:
        cell: (..., N, D) cell state.
        gates: (..., N, 4 * D) gate inputs before the activation: input, forget, output, candidate.
        cont: (..., N), 0 at the start of a sequence.

    Returns:
        Cell and hidden state, (..., N, D) each.
    """
    input_gate, forget_gate, output_gate, candidate = gates.chunk(4, -1)
    retained = torch.sigmoid(forget_gate) * cell * cont.unsqueeze(-1)
    next_cell = retained + torch.sigmoid(input_gate) * torch.tanh(candidate)
    return next_cell, torch.sigmoid(output_gate) * torch.tanh(next_cell)
