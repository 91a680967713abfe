"""Depthwise convolution of other forks, under its two names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.convolution import Convolution
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("DepthwiseConvolution")
class DepthwiseConvolution(Convolution):
    """Convolution with one group per channel, whether or not ``group`` is written.

    Blobs: weights (num_output, 1, kernel ...), bias (num_output) unless ``bias_term: false``.

    Source: yonghenglh6/DepthwiseConvolution caffe/src/caffe/layers/depthwise_conv_layer.cpp
    """

    origin = "MobileNet forks"

    def setup(self, parameter: LayerParameter) -> None:
        """Set the number of groups to the number of channels."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        channels = shape[self.canonical_axis(options.axis, len(shape))]
        if options.HasField("group") and options.group not in (1, channels):
            self.fail(f"wrong group: found {options.group}, expected {channels}, the number of channels; remove it")
        options.group = channels
        super().setup(parameter)


@register("ConvolutionDepthwise")
class ConvolutionDepthwise(DepthwiseConvolution):
    """DepthwiseConvolution under its other name.

    Blobs: weights (num_output, 1, kernel ...), bias (num_output) unless ``bias_term: false``.

    Source: farmingyard/caffe-mobilenet conv_dw_layer.cpp
    """
