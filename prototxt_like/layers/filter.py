"""Dropping items of a batch."""

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
    """Keep the items for which the last bottom, the selector, is not 0; one top for every other bottom.

    The batch axis of the tops changes from batch to batch, so this layer cannot be exported or compiled whole.

    Source: BVLC/caffe src/caffe/layers/filter_layer.cpp
    """

    min_bottoms = 2
    max_bottoms = None
    max_tops = None
    restrictions = ("Not for torch.export: how many items pass depends on the data.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Check the batch axes."""
        *data, selector = self.bottom_shapes
        if self.top_count != len(data):
            self.fail(f"it needs one top for every bottom but the selector: {len(data)}, found {self.top_count}")
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
        """Keep what is selected."""
        kept = bottoms[-1].reshape(-1).nonzero().squeeze(1)
        tops = tuple(x.index_select(0, kept) for x in bottoms[:-1])
        return tops[0] if len(tops) == 1 else tops
