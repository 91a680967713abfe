"""One step of an LSTM."""

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
    """From the last cell state, the summed inputs of the gates and ``cont``, the next cell and hidden state.

    Bottoms: cell (1, N, D), gates (1, N, 4 * D) in the order input, forget, output, candidate, cont (1, N).
    Tops: cell (1, N, D), hidden (1, N, D).

    Source: BVLC/caffe src/caffe/layers/lstm_unit_layer.cpp
    """

    min_bottoms = 3
    max_bottoms = 3
    min_tops = 2
    max_tops = 2
    restrictions = ("The gradient is exact for any `cont`; Caffe's is for 0 and 1 only.",)

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
        """One step."""
        return lstm_step(cell, gates, cont.detach())


def lstm_step(cell: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """The next cell and hidden state.

    Args:
        cell: (..., N, D).
        gates: (..., N, 4 * D) sums before their squashing: input, forget, output, candidate.
        cont: (..., N), 0 where a new sequence begins.

    Returns:
        Cell and hidden state, (..., N, D) each.
    """
    enter, forget, leave, candidate = gates.chunk(4, -1)
    kept = torch.sigmoid(forget) * cell * cont.unsqueeze(-1)
    following = kept + torch.sigmoid(enter) * torch.tanh(candidate)
    return following, torch.sigmoid(leave) * torch.tanh(following)
