"""A learned or given summand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from prototxt_like.layers._broadcast import Affine
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Bias")
class Bias(Affine):
    """Add a blob to the bottom, from ``axis`` on: its own, or a second bottom.

    Blobs: the summand, unless a second bottom gives it; 0 where no filler is given.

    Source: BVLC/caffe src/caffe/layers/bias_layer.cpp
    """

    parameter_field = "bias_param"
    bias: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the summand."""
        options = self.layer_param(parameter)
        self.place(options.axis, options.num_axes)
        if len(self.bottom_shapes) == 1:
            self.add_blob("bias", self.blob_shape, options.filler)
        self.top_shapes = [self.bottom_shapes[0]]

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Add."""
        return x + self.spread(self.bias if bias is None else bias, x)
