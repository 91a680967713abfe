"""ELU layer: exponential linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("ELU")
class ELU(Neuron):
    """x if x > 0, else alpha * (exp(x) - 1); the gradient at 0 is ``alpha``.

    Source: BVLC/caffe src/caffe/layers/elu_layer.cpp
    """

    parameter_field = "elu_param"
    backward_reads = ("bottom", "top")

    def setup(self, parameter: LayerParameter) -> None:
        """Read alpha."""
        super().setup(parameter)
        self.alpha: float = self.layer_param(parameter).alpha
        self.in_place_gradient_is_exact = self.alpha >= 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the ELU."""
        return F.elu(x, self.alpha)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by 1 where the bottom is positive, else by alpha + top."""
        return torch.where(bottom > 0, gradient, gradient * (self.alpha + top))
