"""Normalize layer of SSD: L2 normalization with a learnable scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from prototxt_like.layers.base import Layer, upcast
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    FillerParameter,
)

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Normalize")
class Normalize(Layer):
    """Divide by the Euclidean norm and multiply by a learnable scale.

    With ``across_spatial``, the norm is per item; without it, over the channels at every position.

    Blobs: scale (C), or a scalar with ``channel_shared``; 1 without a filler.

    Source: weiliu89/caffe (ssd) src/caffe/layers/normalize_layer.cpp
    """

    origin = "SSD"
    parameter_field = "norm_param"
    scale: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the scale."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) < 2:
            self.fail_shape(f"the bottom needs at least 2 axes (N, C, ...), found {format_shape(shape)}")
        self.across_spatial: bool = options.across_spatial
        self.eps: float = options.eps
        filler = options.scale_filler if options.HasField("scale_filler") else FillerParameter(type="constant", value=1)
        self.add_blob("scale", () if options.channel_shared else (shape[1],), filler)
        self.top_shapes = [shape]

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and scale."""
        values = upcast(x)
        axes = list(range(1, x.dim())) if self.across_spatial else [1]
        length = ((values * values).sum(axes, keepdim=True) + self.eps).sqrt()
        scale = self.scale.reshape(-1, *(1,) * (x.dim() - 2))  # (C) -> (C, 1, 1)
        return (values / length * scale).to(x.dtype)
