"""Bias layer: addition of a learnable blob or a second bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from prototxt_like.layers._broadcast import Affine
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Bias")
class Bias(Affine):
    """Add a parameter or a second bottom to the bottom, broadcast from ``axis``.

    Blobs: the bias, if there is no second bottom; 0 without a filler.

    Source: BVLC/caffe src/caffe/layers/bias_layer.cpp
    """

    parameter_field = "bias_param"
    bias: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the bias."""
        options = self.layer_param(parameter)
        self.place(options.axis, options.num_axes)
        if len(self.bottom_shapes) == 1:
            self.add_blob("bias", self.blob_shape, options.filler)
        self.top_shapes = [self.bottom_shapes[0]]

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Add the bias."""
        return x + self.spread(self.bias if bias is None else bias, x)
