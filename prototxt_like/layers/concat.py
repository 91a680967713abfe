"""Concat layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer, Shape
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Concat")
class Concat(Layer):
    """Concatenate the bottoms along ``axis`` (or its older name ``concat_dim``).

    Source: BVLC/caffe src/caffe/layers/concat_layer.cpp
    """

    max_bottoms = None
    parameter_field = "concat_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis and check that all other axes are equal."""
        first = self.bottom_shapes[0]
        self.shares_memory = len(self.bottom_shapes) == 1
        self.concat_axis = one_axis(self, self.layer_param(parameter), "concat_dim")
        for index, shape in enumerate(self.bottom_shapes[1:], start=1):
            if len(shape) != len(first) or self._others(shape) != self._others(first):
                self.fail_shape(
                    f"the bottoms may differ in axis {self.concat_axis} only; "
                    f"bottom 0 is {format_shape(first)}, bottom {index} is {format_shape(shape)}"
                )
        total = sum(shape[self.concat_axis] for shape in self.bottom_shapes)
        self.top_shapes = [(*first[: self.concat_axis], total, *first[self.concat_axis + 1 :])]

    def _others(self, shape: Shape) -> Shape:
        return shape[: self.concat_axis] + shape[self.concat_axis + 1 :]

    def forward(self, *bottoms: Tensor) -> Tensor:
        """Concatenate."""
        return torch.cat(bottoms, self.concat_axis)


def one_axis(layer: Layer, options: Any, older_field: str) -> int:
    """Return the axis of Concat or Slice, from its current or older field.

    Args:
        layer: Layer for error messages.
        options: ConcatParameter or SliceParameter.
        older_field: ``concat_dim`` or ``slice_dim``; cannot be negative.
    """
    if not options.HasField(older_field):
        return layer.canonical_axis(options.axis, len(layer.bottom_shapes[0]))
    if options.HasField("axis"):
        layer.fail(f"axis and {older_field} are both set; use only axis")
    return layer.canonical_axis(getattr(options, older_field), len(layer.bottom_shapes[0]), older_field)
