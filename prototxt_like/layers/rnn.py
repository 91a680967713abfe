"""RNN layer: simple recurrent layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers.recurrent import Recurrent
from prototxt_like.layers.registry import register


@register("RNN")
class RNN(Recurrent):
    """h = tanh(W_hh h + W_xh x + b_h), o = tanh(W_ho h + b_o), unrolled over the first axis.

    Bottoms: x (T, N, ...), cont (T, N), optionally a static input (N, ...); with ``expose_hidden`` also the hidden
    state (1, N, num_output). Tops: outputs o (T, N, num_output); with ``expose_hidden`` also the last hidden state.
    A batch continues from the states of the last batch of the same size, unless cont is 0. ``reset()`` clears them.

    Blobs: W_xh (num_output, features), b_h (num_output), W_xh_static if there is a static input,
    W_hh and W_ho (num_output, num_output), b_o (num_output).

    Source: BVLC/caffe src/caffe/layers/rnn_layer.cpp, recurrent_layer.cpp
    """

    states = ("hidden",)
    weight_input: nn.Parameter
    bias_hidden: nn.Parameter
    weight_static: nn.Parameter
    weight_hidden: nn.Parameter
    weight_output: nn.Parameter
    bias_output: nn.Parameter

    def add_blobs(self, options: Any) -> None:
        """Create the weights and biases."""
        size = self.num_output
        self.add_matrix("weight_input", size, self.features(0, 2), options)
        self.add_blob("bias_hidden", (size,), options.bias_filler)
        if self.has_static:
            self.add_matrix("weight_static", size, self.features(2, 1), options)
        self.add_matrix("weight_hidden", size, size, options)
        self.add_matrix("weight_output", size, size, options)
        self.add_blob("bias_output", (size,), options.bias_filler)

    def unroll(
        self, x: Tensor, cont: Tensor, static: Tensor | None, states: list[Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Return all outputs and the last hidden state."""
        inputs = F.linear(x, self.weight_input, self.bias_hidden)
        if static is not None:
            inputs = inputs + F.linear(static.flatten(1), self.weight_static)
        (hidden,) = states
        outputs = []
        for step, continues in zip(inputs.unbind(0), cont.unbind(0), strict=True):
            hidden = torch.tanh(step + F.linear(hidden * continues[:, None], self.weight_hidden))
            outputs.append(torch.tanh(F.linear(hidden, self.weight_output, self.bias_output)))
        return outputs, (hidden,)
