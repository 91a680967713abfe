"""Mean and variance of every picture normalised."""

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
    """Subtract the mean of every channel of every item, and divide by its standard deviation + ``eps``.

    ``across_channels`` takes an item as a whole; ``normalize_variance: false`` only subtracts.
    The gradient is Caffe's: as if ``eps`` were part of the deviation itself, so it is finite on a flat picture.

    Source: BVLC/caffe src/caffe/layers/mvn_layer.cpp
    """

    parameter_field = "mvn_param"
    restrictions = (
        "At most 4 axes; the top always has 4.",
        "As in Caffe, the gradient ignores a large `eps`; it is exact for one near 0.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read what to normalise."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) > 4:
            self.fail_shape(f"the bottom may have 4 axes (N, C, height, width) at most, found {format_shape(shape)}")
        self.axes = (1, 2, 3) if options.across_channels else (2, 3)
        self.normalize_variance: bool = options.normalize_variance
        self.eps: float = options.eps
        self.missing_axes = 4 - len(shape)
        self.top_shapes = [shape + (1,) * self.missing_axes]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; fewer than 4 axes get axes of size 1."""
        image = upcast(x.reshape(*x.shape, *(1,) * self.missing_axes))
        centered = image - image.mean(self.axes, keepdim=True)
        if not self.normalize_variance:
            return centered.to(x.dtype)
        variance = (centered * centered).mean(self.axes, keepdim=True)
        divisor = variance.detach().sqrt() + self.eps
        # Worth 0; its gradient is what the divisor's would be if its square were the variance.
        slope = (variance - variance.detach()) / (2 * divisor * divisor)
        return (centered / divisor * (1 - slope)).to(x.dtype)
