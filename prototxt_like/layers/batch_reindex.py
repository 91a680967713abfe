"""BatchReindex layer: selection and repetition of batch items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("BatchReindex")
class BatchReindex(Layer):
    """Select items of a batch: top[i] = bottom 0 [bottom 1 [i]]. Gradients of repeated items are summed.

    Source: BVLC/caffe src/caffe/layers/batch_reindex_layer.cpp
    """

    min_bottoms = 2
    max_bottoms = 2

    def setup(self, parameter: LayerParameter) -> None:
        """Check the bottoms."""
        data, index = self.bottom_shapes
        if not data:
            self.fail_shape("bottom 0 is a scalar; it needs a batch axis")
        if len(index) != 1:
            self.fail_shape(f"bottom 1 must have one axis (the indices), found {format_shape(index)}")
        self.top_shapes = [(index[0], *data[1:])]

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Gather the items."""
        return x.index_select(0, checked_index(self, index, x.shape[0], "item"))
