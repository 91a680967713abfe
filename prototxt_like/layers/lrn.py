"""LRN layer: local response normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers.base import Layer, upcast
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    LRNParameter,
)

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("LRN")
class LRN(Layer):
    """Divide every value by (k + alpha / n * sum of squares in its neighborhood) ** beta.

    ACROSS_CHANNELS: the neighborhood is ``local_size`` adjacent channels, n = local_size.
    WITHIN_CHANNEL: the neighborhood is a square of ``local_size`` pixels, n = local_size ** 2, and k is always 1.

    Source: BVLC/caffe src/caffe/layers/lrn_layer.cpp
    """

    parameter_field = "lrn_param"
    reads_bottom_values = True
    restrictions = (
        "As in Caffe, WITHIN_CHANNEL ignores `k` and uses 1.",
        "In place, ACROSS_CHANNELS multiplies the factors by themselves instead of by the bottom, as Caffe does.",
        "`engine` has no effect.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the region and the constants."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) != 4:
            self.fail_shape(f"the bottom must have 4 axes (N, C, height, width), found {format_shape(shape)}")
        self.size: int = options.local_size
        if self.size % 2 == 0:
            self.fail(f"invalid local_size: found {self.size}, expected an odd number")
        self.across_channels: bool = options.norm_region == LRNParameter.ACROSS_CHANNELS
        self.alpha: float = options.alpha
        self.beta: float = options.beta
        self.k: float = options.k if self.across_channels else 1.0
        if self.across_channels:
            self.in_place_note = "as in Caffe, the bottom is overwritten before it is multiplied; rename its top"
        self.top_shapes = [shape]

    def forward(self, x: Tensor) -> Tensor:
        """Normalize."""
        values = upcast(x)
        squares, near = values * values, self.size // 2
        if self.across_channels:
            # (N, C, H, W) -> (N, 1, C, H * W), so that the channels are an axis to pool over
            rows = squares.flatten(2).unsqueeze(1)
            mean = F.avg_pool2d(rows, (self.size, 1), 1, (near, 0)).reshape(x.shape)
        else:
            mean = F.avg_pool2d(squares, self.size, 1, near)
        scale = (self.k + self.alpha * mean) ** -self.beta
        return (scale * (scale if self.in_place and self.across_channels else values)).to(x.dtype)
