"""LSTM layer: long short-term memory."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers.lstm_unit import lstm_step
from prototxt_like.layers.recurrent import Recurrent
from prototxt_like.layers.registry import register


@register("LSTM")
class LSTM(Recurrent):
    """Long short-term memory without peepholes, unrolled over the first axis.

    Bottoms: x (T, N, ...), cont (T, N), optionally a static input (N, ...); with ``expose_hidden`` also hidden and
    cell state (1, N, num_output) each. Tops: hidden states (T, N, num_output); with ``expose_hidden`` also the last
    hidden and cell state.
    A batch continues from the states of the last batch of the same size, unless cont is 0. ``reset()`` clears them.

    Blobs: W_xc (4 * num_output, features), b_c (4 * num_output), W_xc_static if there is a static input,
    W_hc (4 * num_output, num_output); gates in the order input, forget, output, candidate.

    Source: BVLC/caffe src/caffe/layers/lstm_layer.cpp, recurrent_layer.cpp
    """

    states = ("hidden", "cell")
    weight_input: nn.Parameter
    bias: nn.Parameter
    weight_static: nn.Parameter
    weight_hidden: nn.Parameter

    def add_blobs(self, options: Any) -> None:
        """Create the weights and biases of the four gates."""
        gates = 4 * self.num_output
        self.add_matrix("weight_input", gates, self.features(0, 2), options)
        self.add_blob("bias", (gates,), options.bias_filler)
        if self.has_static:
            self.add_matrix("weight_static", gates, self.features(2, 1), options)
        self.add_matrix("weight_hidden", gates, self.num_output, options)

    def unroll(
        self, x: Tensor, cont: Tensor, static: Tensor | None, states: list[Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Return all hidden states, and the last hidden and cell state."""
        inputs = F.linear(x, self.weight_input, self.bias)
        if static is not None:
            inputs = inputs + F.linear(static.flatten(1), self.weight_static)
        hidden, cell = states
        outputs = []
        for step, continues in zip(inputs.unbind(0), cont.unbind(0), strict=True):
            gates = step + F.linear(hidden * continues[:, None], self.weight_hidden)
            cell, hidden = lstm_step(cell, gates, continues)
            outputs.append(hidden)
        return outputs, (hidden, cell)
