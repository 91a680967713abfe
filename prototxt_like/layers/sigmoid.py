"""Sigmoid layer."""

from __future__ import annotations

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("Sigmoid")
class Sigmoid(Neuron):
    """1 / (1 + exp(-x)).

    Source: BVLC/caffe src/caffe/layers/sigmoid_layer.cpp
    """

    parameter_field = "sigmoid_param"
    backward_reads = ("top",)
    restrictions = ("`engine` has no effect.",)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sigmoid."""
        return torch.sigmoid(x)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by top * (1 - top)."""
        return gradient * top * (1 - top)
