"""DummyData layer: blobs from fillers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.layers import fillers
from prototxt_like.layers.base import Layer, Shape
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("DummyData")
class DummyData(Layer):
    """Tops from fillers: constant tops are filled once, all others in every forward pass.

    ``shape`` and ``data_filler`` are set once or once per top. ``num``, ``channels``, ``height`` and ``width`` are
    older fields for the shape.

    Source: BVLC/caffe src/caffe/layers/dummy_data_layer.cpp
    """

    min_bottoms = 0
    max_bottoms = 0
    max_tops = None
    parameter_field = "dummy_data_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read shapes and fillers, and fill the tops."""
        options = self.layer_param(parameter)
        self.top_shapes = self._shapes(options)
        self.fillers = self._one_for_each_top("data_filler", list(options.data_filler) or [FillerParameter()])
        for index, (shape, filler) in enumerate(zip(self.top_shapes, self.fillers, strict=True)):
            if any(size <= 0 for size in shape):
                self.fail_shape(f"top {index} would be empty: shape {format_shape(shape)}")
            self.context.reserve(shape, self.display_name)
            data = torch.empty(shape)
            # not saved, as in Caffe's weight files
            self.register_buffer(
                f"data_{index}", data if self.context.shape_only else self._filled(data, filler), persistent=False
            )

    def _shapes(self, options: Any) -> list[Shape]:
        older = {field: list(getattr(options, field)) for field in ("num", "channels", "height", "width")}
        if not any(older.values()):
            return [tuple(shape.dim) for shape in self._one_for_each_top("shape", list(options.shape))]
        if len(options.shape):
            self.fail("shape and num/channels/height/width are both set; use only shape")
        sizes = (self._one_for_each_top(field, values) for field, values in older.items())
        return list(zip(*sizes, strict=True))

    def _one_for_each_top(self, field: str, values: list[Any]) -> list[Any]:
        if len(values) == 1:
            return values * self.top_count
        if len(values) != self.top_count:
            self.fail(f"{field} has {len(values)} values for {self.top_count} tops; set one value, or one per top")
        return values

    def _filled(self, tensor: Tensor, filler: FillerParameter) -> Tensor:
        try:
            fillers.fill(tensor, filler)
        except NetError as error:
            self.fail(str(error))
        return tensor

    def forward(self) -> Tensor | tuple[Tensor, ...]:
        """Return the constant tops, and fill the others again."""
        tops = []
        for index, filler in enumerate(self.fillers):
            data = getattr(self, f"data_{index}")
            tops.append(data if filler.type == "constant" else self._filled(torch.empty_like(data), filler))
        return tops[0] if len(tops) == 1 else tuple(tops)
