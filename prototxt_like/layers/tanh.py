"""The hyperbolic tangent."""

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
    restrictions = ("`engine` changes nothing.",)

    def forward(self, x: Tensor) -> Tensor:
        """Squash to -1..1."""
        return torch.tanh(x)
