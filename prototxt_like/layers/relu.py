"""ReLU and leaky ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("ReLU")
class ReLU(Neuron):
    """max(x, 0) + negative_slope * min(x, 0); the gradient at 0 is ``negative_slope``.

    Source: BVLC/caffe src/caffe/layers/relu_layer.cpp
    """

    parameter_field = "relu_param"
    backward_reads = ("bottom",)
    reads_sign_only = True
    restrictions = ("`engine` has no effect.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the slope."""
        super().setup(parameter)
        self.negative_slope: float = self.layer_param(parameter).negative_slope
        self.in_place_gradient_is_exact = self.keeps_sign = self.negative_slope >= 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the ReLU. Not in place, because the caller may use the bottom, and it would not be faster."""
        return F.relu(x) if self.negative_slope == 0 else F.leaky_relu(x, self.negative_slope)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by 1 where the bottom is positive, else by the slope."""
        return torch.where(bottom > 0, gradient, gradient * self.negative_slope)
