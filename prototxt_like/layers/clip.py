"""Clip layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Clip")
class Clip(Neuron):
    """Limit values to ``min`` and ``max``. The gradient is 1 at both bounds and 0 outside.

    Source: BVLC/caffe src/caffe/layers/clip_layer.cpp
    """

    parameter_field = "clip_param"
    backward_reads = ("bottom",)
    in_place_gradient_is_exact = False
    origin = "Caffe after 1.0"
    restrictions = ("`min` and `max` are required, and `min` must not be above `max`.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the bounds."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        if not (options.HasField("min") and options.HasField("max")):
            self.fail("clip_param needs both min and max")
        self.lowest: float = options.min
        self.highest: float = options.max
        if self.lowest > self.highest:
            self.fail(f"min {self.lowest:g} is above max {self.highest:g}")

    def forward(self, x: Tensor) -> Tensor:
        """Clip the values."""
        return x.clamp(self.lowest, self.highest)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Keep the gradient where the bottom is within the bounds."""
        return gradient * ((bottom >= self.lowest) & (bottom <= self.highest))
