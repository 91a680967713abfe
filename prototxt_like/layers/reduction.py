"""Reduction layer: sum or mean over axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, upcast
from prototxt_like.layers.registry import register
from prototxt_like.schema.caffe_schema_pb2 import ReductionParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Reduction")
class Reduction(Layer):
    """Sum, sum of absolute values, sum of squares or mean over all axes from ``axis``, times ``coeff``.

    Source: BVLC/caffe src/caffe/layers/reduction_layer.cpp
    """

    parameter_field = "reduction_param"
    reads_bottom_values = True

    def setup(self, parameter: LayerParameter) -> None:
        """Read the operation."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.operation = ReductionParameter.ReductionOp.Name(options.operation)
        self.coefficient: float = options.coeff
        self.start = self.canonical_axis(options.axis, len(shape))
        self.top_shapes = [shape[: self.start]]

    def forward(self, x: Tensor) -> Tensor:
        """Reduce."""
        rows = upcast(x.flatten(self.start))
        if self.operation == "ASUM":
            rows = rows.abs()
        elif self.operation == "SUMSQ":
            rows = rows * rows
        top = rows.mean(-1) if self.operation == "MEAN" else rows.sum(-1)
        return top if self.coefficient == 1 else top * self.coefficient
