"""Dropout layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Dropout")
class Dropout(Neuron):
    """In TRAIN, set values to 0 with probability ``dropout_ratio`` and divide the others by 1 - ``dropout_ratio``.

    In TEST, the top equals the bottom.

    Source: BVLC/caffe src/caffe/layers/dropout_layer.cpp
    """

    parameter_field = "dropout_param"
    keeps_sign = True

    def setup(self, parameter: LayerParameter) -> None:
        """Read the ratio."""
        super().setup(parameter)
        self.ratio: float = self.layer_param(parameter).dropout_ratio
        if not 0 <= self.ratio < 1:
            self.fail(f"invalid dropout_ratio: found {self.ratio:g}, expected at least 0 and less than 1")

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout in TRAIN."""
        return F.dropout(x, self.ratio, self.training)
