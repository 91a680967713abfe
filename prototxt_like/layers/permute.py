"""Permute layer of SSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Permute")
class Permute(Layer):
    """Permute the axes to ``order``. Axes that are not listed follow in their original order.

    Source: weiliu89/caffe (ssd) src/caffe/layers/permute_layer.cpp
    """

    origin = "SSD"
    parameter_field = "permute_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the order."""
        shape = self.bottom_shapes[0]
        order = list(self.layer_param(parameter).order)
        if len(set(order)) != len(order) or any(axis >= len(shape) for axis in order):
            self.fail(f"invalid order: found {order}, expected axes 0 to {len(shape) - 1}, each at most once")
        self.order = order + [axis for axis in range(len(shape)) if axis not in order]
        self.top_shapes = [tuple(shape[axis] for axis in self.order)]

    def forward(self, x: Tensor) -> Tensor:
        """Permute."""
        return x.permute(self.order)
