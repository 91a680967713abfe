"""Convolution over any number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Shape, format_shape
from prototxt_like.layers.convolution_base import ConvolutionBase
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Convolution")
class Convolution(ConvolutionBase):
    """Slide a bank of filters over the axes after ``axis``; the same filters serve every bottom.

    Blobs: weights (num_output, channels / group, kernel ...), bias (num_output) unless ``bias_term: false``.

    Source: BVLC/caffe src/caffe/layers/conv_layer.cpp, base_conv_layer.cpp
    """

    def setup(self, parameter: LayerParameter) -> None:
        """Read the windows, create the filters."""
        super().setup(parameter)
        weight_shape = (self.num_output, self.channels // self.group, *self.kernel)
        self.add_filters(weight_shape, parameter)

    def output_size(self, bottom: Shape) -> Shape:
        """Sizes of the spatial axes of the top."""
        windows = zip(bottom[self.channel_axis + 1 :], self.kernel, self.stride, self.pad, self.dilation, strict=True)
        spatial = tuple((size + 2 * p - (d * (k - 1) + 1)) // s + 1 for size, k, s, p, d in windows)
        if any(size <= 0 for size in spatial):
            self.refuse_shape(
                f"its kernel {format_shape(self.kernel)} does not fit into the bottom {format_shape(bottom)}"
            )
        return spatial

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Convolve every bottom with the same filters."""
        tops = tuple(self.convolve(x) for x in bottoms)
        return tops[0] if len(tops) == 1 else tops
