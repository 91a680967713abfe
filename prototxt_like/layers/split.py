"""One blob for several readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Split")
class Split(Layer):
    """Every top is the bottom; gradients add up. Only written out by hand: here any blob may have several readers.

    Source: BVLC/caffe src/caffe/layers/split_layer.cpp
    """

    max_tops = None
    allows_in_place = False

    def setup(self, parameter: LayerParameter) -> None:
        """Give every top the shape of the bottom."""
        self.top_shapes = [self.bottom_shapes[0]] * self.top_count

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Hand the bottom out."""
        return x if self.top_count == 1 else (x,) * self.top_count
