"""Tile layer: repetition along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Tile")
class Tile(Layer):
    """Repeat the bottom ``tiles`` times along ``axis``.

    Source: BVLC/caffe src/caffe/layers/tile_layer.cpp
    """

    parameter_field = "tile_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis and the number of tiles."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.tile_axis = self.canonical_axis(options.axis, len(shape))
        self.tiles: int = options.tiles
        if self.tiles <= 0:
            self.fail(f"invalid tiles: found {self.tiles}, expected 1 or more")
        size = shape[self.tile_axis] * self.tiles
        self.top_shapes = [(*shape[: self.tile_axis], size, *shape[self.tile_axis + 1 :])]

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the bottom."""
        return torch.cat([x] * self.tiles, self.tile_axis)
