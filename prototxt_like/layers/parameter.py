"""Parameter layer: a learnable blob as top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Parameter")
class ParameterLayer(Layer):
    """Learnable blob as top, initialized to 0.

    Blobs: the top itself.

    Source: BVLC/caffe include/caffe/layers/parameter_layer.hpp
    """

    min_bottoms = 0
    max_bottoms = 0
    parameter_field = "parameter_param"
    value: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the blob."""
        shape = tuple(self.layer_param(parameter).shape.dim)
        self.add_blob("value", shape, FillerParameter(type="constant", value=0))
        self.top_shapes = [shape]

    def forward(self) -> Tensor:
        """Return the blob."""
        return self.value
