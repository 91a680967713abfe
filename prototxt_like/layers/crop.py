"""Crop layer: crop a blob to the size of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Crop")
class Crop(Layer):
    """Crop bottom 0 to the sizes of bottom 1 in the axes from ``axis``, at ``offset`` (one value, or one per axis).

    Source: BVLC/caffe src/caffe/layers/crop_layer.cpp
    """

    min_bottoms = 2
    max_bottoms = 2
    parameter_field = "crop_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the offsets and check that the crop is inside the bottom."""
        options = self.layer_param(parameter)
        data, size = self.bottom_shapes
        self.start = self.canonical_axis(options.axis, len(data))
        axes = len(data) - self.start
        offsets = list(options.offset) or [0]
        if len(offsets) not in (1, axes):
            self.fail(
                f"offset has {len(offsets)} values for {axes} axes from axis {self.start}; set one, or one per axis"
            )
        self.offsets = offsets * axes if len(offsets) == 1 else offsets
        if len(size) < len(data):
            self.fail_shape(f"bottom 1 {format_shape(size)} has fewer axes than bottom 0 {format_shape(data)}")
        for axis, offset in enumerate(self.offsets, start=self.start):
            if offset + size[axis] > data[axis]:
                self.fail_shape(
                    f"axis {axis} of bottom 0 has {data[axis]} values; {size[axis]} from offset {offset} exceed it"
                )
        self.top_shapes = [(*data[: self.start], *size[self.start : len(data)])]

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Crop."""
        for axis, offset in enumerate(self.offsets, start=self.start):
            x = x.narrow(axis, offset, like.shape[axis])
        return x
