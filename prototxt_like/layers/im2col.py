"""Im2col layer: sliding windows as columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._window import KernelGeometry
from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Im2col")
class Im2col(Layer):
    """Copy the values of every kernel window into the channel axis, whose size becomes C * kernel size.

    Source: BVLC/caffe src/caffe/layers/im2col_layer.cpp
    """

    parameter_field = "convolution_param"
    restrictions = ("Uses only the kernel geometry and `axis` of `convolution_param`.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the kernel geometry."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.channel_axis = self.canonical_axis(options.axis, len(shape))
        axes = len(shape) - self.channel_axis - 1
        if axes < 1:
            self.fail_shape(f"the bottom {format_shape(shape)} has no axis after the channels")
        self.geometry = KernelGeometry.read(self, options, axes)
        spatial = self.geometry.positions(self, shape[self.channel_axis + 1 :])
        self.excess = self.geometry.excess(shape[self.channel_axis + 1 :])
        channels = shape[self.channel_axis] * math.prod(self.geometry.kernel)
        self.top_shapes = [(*shape[: self.channel_axis], channels, *spatial)]

    def forward(self, x: Tensor) -> Tensor:
        """(..., C, *size) -> (..., C * kernel, *positions)."""
        leading = x.shape[: self.channel_axis]
        # (..., C, *size) -> (N, C, *size)
        views = x.reshape(-1, *x.shape[self.channel_axis :])
        around = zip(self.geometry.pad, self.excess, strict=True)
        views = F.pad(views, [side for pad, excess in reversed([*around]) for side in (pad, pad + excess)])
        axes = len(self.geometry.kernel)
        for axis in range(axes):
            extent = self.geometry.extent(axis)
            views = views.unfold(2 + axis, extent, self.geometry.stride[axis])[..., :: self.geometry.dilation[axis]]
        # (N, C, *positions, *kernel) -> (N, C, *kernel, *positions)
        order = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
        columns = views.permute(order).flatten(1, 1 + axes)
        return columns.reshape(*leading, *columns.shape[1:])
