"""Convolution over any number of spatial axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers._window import KernelGeometry
from prototxt_like.layers.base import Shape
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
        self.add_filters((self.num_output, self.channels // self.group, *self.kernel), parameter)

    def spatial_size(self, geometry: KernelGeometry, sizes: Shape) -> Shape:
        """Sizes of the spatial axes of the top."""
        return geometry.positions(self, sizes)
