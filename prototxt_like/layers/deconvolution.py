"""Deconvolution layer: transposed convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers._window import KernelGeometry
from prototxt_like.layers.base import Shape
from prototxt_like.layers.convolution_base import ConvolutionBase
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Deconvolution")
class Deconvolution(ConvolutionBase):
    """Transposed convolution over the axes after ``axis``.

    Blobs: weights (channels, num_output / group, kernel ...), bias (num_output) unless ``bias_term: false``.

    Source: BVLC/caffe src/caffe/layers/deconv_layer.cpp, base_conv_layer.cpp
    """

    transposed = True

    def setup(self, parameter: LayerParameter) -> None:
        """Read the kernel geometry and create the filters."""
        super().setup(parameter)
        self.add_filters((self.channels, self.num_output // self.group, *self.kernel), parameter)

    def spatial_size(self, geometry: KernelGeometry, sizes: Shape) -> Shape:
        """Return the spatial sizes of the top."""
        axes = zip(sizes, geometry.stride, geometry.pad, strict=True)
        return tuple(s * (size - 1) + geometry.extent(axis) - 2 * p for axis, (size, s, p) in enumerate(axes))
