"""Slice layer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.concat import one_axis
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Slice")
class Slice(Layer):
    """Split the bottom along ``axis`` (or its older name ``slice_dim``) at the slice points, or into equal parts.

    Source: BVLC/caffe src/caffe/layers/slice_layer.cpp
    """

    max_tops = None
    parameter_field = "slice_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis and the slice points."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.shares_memory = self.top_count == 1
        self.slice_axis = one_axis(self, options, "slice_dim")
        self.points = list(options.slice_point)
        if self.points and len(self.points) != self.top_count - 1:
            self.fail(f"wrong number of slice points: found {len(self.points)}, expected {self.top_count - 1}")
        before, after = shape[: self.slice_axis], shape[self.slice_axis + 1 :]
        self.top_shapes = [(*before, size, *after) for size in self._sizes(shape[self.slice_axis])]

    def _sizes(self, size: int) -> list[int]:
        """Return the sizes of the tops along the axis. The last top has the rest."""
        if not self.points:
            if size % self.top_count:
                self.fail_shape(
                    f"axis {self.slice_axis} of size {size} cannot be split into {self.top_count} equal tops"
                )
            return [size // self.top_count] * self.top_count
        sizes = [stop - start for start, stop in itertools.pairwise([0, *self.points, size])]
        if min(sizes) <= 0:
            self.fail_shape(
                f"slice points {self.points} must be ascending and inside axis {self.slice_axis} of size {size}"
            )
        return sizes

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Split the bottom."""
        if self.top_count == 1:
            return x
        return tuple(x.split(self._sizes(x.shape[self.slice_axis]), self.slice_axis))
