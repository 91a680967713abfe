"""Split layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Split")
class Split(Layer):
    """Copies of the bottom. Not needed in prototxt_like, because any blob may have several readers.

    Source: BVLC/caffe src/caffe/layers/split_layer.cpp
    """

    max_tops = None
    allows_in_place = False
    shares_memory = True

    def setup(self, parameter: LayerParameter) -> None:
        """Set all top shapes to the bottom shape."""
        self.top_shapes = [self.bottom_shapes[0]] * self.top_count

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the bottom once per top."""
        return x if self.top_count == 1 else (x,) * self.top_count
