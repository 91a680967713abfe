"""Reshape layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, Shape, count
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Reshape")
class Reshape(Layer):
    """Replace ``num_axes`` axes from ``axis`` by ``shape``. 0 copies the bottom's size, and one -1 is inferred.

    A negative ``axis`` counts from the end; -1 is the position after the last axis.

    Source: BVLC/caffe src/caffe/layers/reshape_layer.cpp
    """

    allows_in_place = False
    shares_memory = True
    parameter_field = "reshape_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the shape and apply it to the bottom."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.sizes = list(options.shape.dim)
        self.start = options.axis if options.axis >= 0 else len(shape) + options.axis + 1
        self.end = len(shape) if options.num_axes == -1 else self.start + options.num_axes
        if options.num_axes < -1 or not 0 <= self.start <= self.end <= len(shape):
            self.fail_shape(
                f"axis {options.axis}, num_axes {options.num_axes} exceed the axes of the bottom {format_shape(shape)}"
            )
        if self.sizes.count(-1) > 1 or min(self.sizes, default=0) < -1:
            self.fail(f"invalid shape: found {self.sizes}, expected at most one -1, and no lower values")
        self.top_shapes = [self._infer(shape)]

    def _infer(self, shape: Shape) -> Shape:
        sizes = self._sizes(shape)
        known = -math.prod(sizes) if -1 in sizes else math.prod(sizes)
        total = count(shape)
        fits = known and total % known == 0 if -1 in sizes else known == total
        if not fits:
            self.fail_shape(
                f"the bottom {format_shape(shape)} has {total} values, which do not match the shape {sizes}"
            )
        return tuple(total // known if size == -1 else size for size in sizes)

    def _sizes(self, shape: Shape) -> list[int]:
        new = list(self.sizes)
        for index, size in enumerate(new):
            if size == 0:
                if self.start + index >= len(shape):
                    self.fail_shape(
                        f"shape {self.sizes} copies axis {self.start + index}, but the bottom has {len(shape)} axes"
                    )
                new[index] = shape[self.start + index]
        return [*shape[: self.start], *new, *shape[self.end :]]

    def forward(self, x: Tensor) -> Tensor:
        """Reshape."""
        return x.reshape(self._sizes(x.shape))
