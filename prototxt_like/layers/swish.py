"""Swish layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Swish")
class Swish(Neuron):
    """x * sigmoid(beta * x).

    Source: BVLC/caffe src/caffe/layers/swish_layer.cpp
    """

    parameter_field = "swish_param"
    backward_reads = ("top",)
    origin = "Caffe after 1.0"

    def setup(self, parameter: LayerParameter) -> None:
        """Read beta."""
        super().setup(parameter)
        self.beta: float = self.layer_param(parameter).beta

    def forward(self, x: Tensor) -> Tensor:
        """Return the Swish."""
        return F.silu(x) if self.beta == 1 else x * torch.sigmoid(self.beta * x)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Combine the top with the sigmoid, which Caffe keeps."""
        sigmoid = torch.sigmoid(self.beta * original)
        return gradient * (self.beta * top + sigmoid * (1 - self.beta * top))
