"""Softmax layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.base import upcast
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Softmax")
class Softmax(Neuron):
    """exp(x) divided by its sum along ``axis``, in float32 even under bfloat16 autocast.

    Source: BVLC/caffe src/caffe/layers/softmax_layer.cpp
    """

    parameter_field = "softmax_param"
    backward_reads = ("top",)
    restrictions = ("`engine` has no effect.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis."""
        super().setup(parameter)
        self.softmax_axis = self.canonical_axis(self.layer_param(parameter).axis, len(self.bottom_shapes[0]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the probabilities."""
        return F.softmax(upcast(x), self.softmax_axis)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply the difference to the weighted mean gradient by the top."""
        mean = (gradient * top).sum(self.softmax_axis, keepdim=True)
        return (gradient - mean) * top
