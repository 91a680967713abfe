"""Threshold layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Threshold")
class Threshold(Neuron):
    """1 if x is above ``threshold``, else 0; no gradient.

    Source: BVLC/caffe src/caffe/layers/threshold_layer.cpp
    """

    parameter_field = "threshold_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the threshold."""
        super().setup(parameter)
        self.threshold: float = self.layer_param(parameter).threshold

    def forward(self, x: Tensor) -> Tensor:
        """Compare with the threshold."""
        return (x > self.threshold).to(x.dtype)
