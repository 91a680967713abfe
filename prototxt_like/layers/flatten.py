"""Flatten layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, count
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Flatten")
class Flatten(Layer):
    """Flatten the axes ``axis`` to ``end_axis`` to one.

    If ``end_axis`` is ``axis`` - 1, an axis of size 1 is inserted, as in Caffe.

    Source: BVLC/caffe src/caffe/layers/flatten_layer.cpp
    """

    allows_in_place = False
    shares_memory = True
    parameter_field = "flatten_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axes."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.start = self.canonical_axis(options.axis, len(shape))
        self.end = self.canonical_axis(options.end_axis, len(shape), "end_axis")
        if self.end < self.start - 1:
            self.fail_shape(f"end_axis {self.end} is before axis {self.start}")
        joined = count(shape, self.start, self.end + 1)
        self.top_shapes = [(*shape[: self.start], joined, *shape[self.end + 1 :])]

    def forward(self, x: Tensor) -> Tensor:
        """Flatten."""
        return x.unsqueeze(self.start) if self.end < self.start else x.flatten(self.start, self.end)
