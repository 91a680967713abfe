"""MVN layer: mean-variance normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, upcast
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("MVN")
class MVN(Layer):
    """Subtract the mean of every channel of every item, and divide by the standard deviation + ``eps``.

    ``across_channels`` uses one mean per item; ``normalize_variance: false`` only subtracts the mean.
    The gradient is Caffe's: it treats ``eps`` as part of the deviation, so it is finite for a constant image.

    Source: BVLC/caffe src/caffe/layers/mvn_layer.cpp
    """

    parameter_field = "mvn_param"
    restrictions = (
        "At most 4 axes; the top always has 4.",
        "As in Caffe, the gradient is exact only for a small `eps`.",
        "In place, the gradient is that of the separate layer; Caffe computes it from overwritten values.",
    )
    in_place_note = "the gradient is that of the separate layer; Caffe computes it from overwritten values"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axes and options."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) > 4:
            self.fail_shape(f"the bottom must have at most 4 axes (N, C, height, width), found {format_shape(shape)}")
        self.axes = (1, 2, 3) if options.across_channels else (2, 3)
        self.normalize_variance: bool = options.normalize_variance
        self.eps: float = options.eps
        self.missing_axes = 4 - len(shape)
        self.top_shapes = [shape + (1,) * self.missing_axes]

    def forward(self, x: Tensor) -> Tensor:
        """Normalize. Missing axes are added with size 1."""
        image = upcast(x.reshape(*x.shape, *(1,) * self.missing_axes))
        centered = image - image.mean(self.axes, keepdim=True)
        if not self.normalize_variance:
            return centered.to(x.dtype)
        variance = (centered * centered).mean(self.axes, keepdim=True)
        divisor = variance.detach().sqrt() + self.eps
        # Value 0. Its gradient is that of the divisor if its square were the variance.
        slope = (variance - variance.detach()) / (2 * divisor * divisor)
        return (centered / divisor * (1 - slope)).to(x.dtype)
