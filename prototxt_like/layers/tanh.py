"""TanH layer: hyperbolic tangent."""

from __future__ import annotations

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("TanH")
class TanH(Neuron):
    """tanh(x).

    Source: BVLC/caffe src/caffe/layers/tanh_layer.cpp
    """

    parameter_field = "tanh_param"
    backward_reads = ("top",)
    restrictions = ("`engine` has no effect.",)

    def forward(self, x: Tensor) -> Tensor:
        """Return the hyperbolic tangent."""
        return torch.tanh(x)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by 1 - top ** 2."""
        return gradient * (1 - top * top)
