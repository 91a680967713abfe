"""Convolution layer."""

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
    """Convolution over the axes after ``axis``. All bottoms share the filters.

    Blobs: weights (num_output, channels / group, kernel ...), bias (num_output) unless ``bias_term: false``.

    Source: BVLC/caffe src/caffe/layers/conv_layer.cpp, base_conv_layer.cpp
    """

    def setup(self, parameter: LayerParameter) -> None:
        """Read the kernel geometry and create the filters."""
        super().setup(parameter)
        self.add_filters((self.num_output, self.channels // self.group, *self.kernel), parameter)

    def spatial_size(self, geometry: KernelGeometry, sizes: Shape) -> Shape:
        """Return the spatial sizes of the top."""
        return geometry.positions(self, sizes)
