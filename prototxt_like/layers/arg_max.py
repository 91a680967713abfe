"""ArgMax layer: indices of the highest values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer, Shape, count
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("ArgMax")
class ArgMax(Layer):
    """Indices of the ``top_k`` highest values, as floats in descending order; of equal values, the last one first.

    With ``axis``, the size of that axis becomes k: indices, or values with ``out_max_val``.
    Without ``axis``, every item is one row: (N, 1, k) indices, or (N, 2, k) indices and values with ``out_max_val``,
    padded with axes of size 1 to the number of axes of the bottom.

    Source: BVLC/caffe src/caffe/layers/argmax_layer.cpp
    """

    parameter_field = "argmax_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis and k."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.out_max_val: bool = options.out_max_val
        self.top_k: int = options.top_k
        self.max_axis = self.canonical_axis(options.axis, len(shape)) if options.HasField("axis") else None
        if not shape:
            self.fail_shape("the bottom is a scalar; it needs at least one axis")
        size = count(shape, 1) if self.max_axis is None else shape[self.max_axis]
        if not 1 <= self.top_k <= size:
            self.fail(f"invalid top_k: found {self.top_k}, expected 1 to {size}")
        self.top_shapes = [self._top_shape(shape)]

    def _top_shape(self, shape: Shape) -> Shape:
        if self.max_axis is not None:
            return (*shape[: self.max_axis], self.top_k, *shape[self.max_axis + 1 :])
        ones = (1,) * (len(shape) - 3)
        return (shape[0], 2 if self.out_max_val else 1, self.top_k, *ones)

    def forward(self, x: Tensor) -> Tensor:
        """Sort and keep the first k."""
        axis = 1 if self.max_axis is None else self.max_axis
        rows = x.flatten(1) if self.max_axis is None and x.dim() > 1 else x
        rows = rows.unsqueeze(1) if rows.dim() == 1 and self.max_axis is None else rows
        # A stable sort of the reversed values puts the later of two equals first.
        values, reversed_index = torch.sort(rows.flip(axis), dim=axis, descending=True, stable=True)
        values = values.narrow(axis, 0, self.top_k)
        index = (rows.shape[axis] - 1 - reversed_index.narrow(axis, 0, self.top_k)).to(values.dtype)
        if self.max_axis is not None:
            return values if self.out_max_val else index
        top = torch.stack([index, values], 1) if self.out_max_val else index.unsqueeze(1)
        return top.reshape(self._top_shape(x.shape))
