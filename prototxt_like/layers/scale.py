"""Scale layer: multiplication by a learnable blob or a second bottom, with optional bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prototxt_like.layers._broadcast import Affine
from prototxt_like.layers.registry import register
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Scale")
class Scale(Affine):
    """Multiply the bottom by a parameter or a second bottom, broadcast from ``axis``. ``bias_term`` adds a bias.

    Blobs: the factor, if there is no second bottom (1 without a filler); the bias with ``bias_term``.

    Source: BVLC/caffe src/caffe/layers/scale_layer.cpp
    """

    parameter_field = "scale_param"
    reads_bottom_values = True
    factor: nn.Parameter
    bias: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the factor and the bias."""
        options = self.layer_param(parameter)
        self.place(options.axis, options.num_axes)
        if len(self.bottom_shapes) == 1:
            one = FillerParameter(type="constant", value=1)
            self.add_blob("factor", self.blob_shape, options.filler if options.HasField("filler") else one)
        self.bias_term: bool = options.bias_term
        if self.bias_term:
            self.add_blob("bias", self.blob_shape, options.bias_filler)
        self.top_shapes = [self.bottom_shapes[0]]

    def forward(self, x: Tensor, factor: Tensor | None = None) -> Tensor:
        """Multiply, then add."""
        spread_factor = self.spread(self.factor if factor is None else factor, x)
        if self.bias_term:
            return torch.addcmul(self.spread(self.bias, x), x, spread_factor)
        return x * spread_factor
