"""Filter layer: selection of batch items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, count
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Filter")
class Filter(Layer):
    """Select the items for which the last bottom, the selector, is not 0. There is one top per other bottom.

    The batch size of the tops depends on the data, so this layer cannot be exported or compiled in one graph.

    Source: BVLC/caffe src/caffe/layers/filter_layer.cpp
    """

    min_bottoms = 2
    max_bottoms = None
    max_tops = None
    data_dependent = True
    restrictions = ("torch.export is not supported, because the number of selected items depends on the data.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Check the batch axes."""
        *data, selector = self.bottom_shapes
        if self.top_count != len(data):
            self.fail(f"wrong number of tops: found {self.top_count}, expected {len(data)}, one per data bottom")
        if not selector or count(selector, 1) != 1:
            self.fail_shape(f"the selector (last bottom) must be N x 1 x ..., found {format_shape(selector)}")
        for index, shape in enumerate(data):
            if not shape or shape[0] != selector[0]:
                self.fail_shape(
                    f"bottom {index} is {format_shape(shape)}, the selector {format_shape(selector)}; "
                    "both need the same first axis"
                )
        self.top_shapes = data

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Select the items."""
        selected = bottoms[-1].reshape(-1).nonzero().squeeze(1)
        tops = tuple(x.index_select(0, selected) for x in bottoms[:-1])
        return tops[0] if len(tops) == 1 else tops
