"""ROIPooling layer of Fast R-CNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Layer, count
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("ROIPooling")
class ROIPooling(Layer):
    """Maximum in ``pooled_h`` x ``pooled_w`` cells of every region; 0 in a cell outside the image.

    Bottom 1 has one row per region: index of the item, then x1, y1, x2, y2 (inclusive) in image coordinates, which are
    multiplied by ``spatial_scale`` and rounded.

    Source: rbgirshick/caffe-fast-rcnn src/caffe/layers/roi_pooling_layer.cpp
    """

    origin = "Fast R-CNN"
    min_bottoms = 2
    max_bottoms = 2
    parameter_field = "roi_pooling_param"
    restrictions = (
        "torch.export and torch.compile in one graph are not supported, because the cells depend on the data.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the number of cells."""
        options = self.layer_param(parameter)
        image, regions = self.bottom_shapes
        if len(image) != 4:
            self.fail_shape(f"bottom 0 must have 4 axes (N, C, height, width), found {format_shape(image)}")
        if not regions or count(regions, 1) != 5:
            self.fail_shape(f"bottom 1 must have 5 values per region, found {format_shape(regions)}")
        self.cells: tuple[int, int] = (options.pooled_h, options.pooled_w)
        if min(self.cells) < 1:
            self.fail(f"pooled_h and pooled_w must be positive, found {format_shape(self.cells)}")
        self.spatial_scale: float = options.spatial_scale
        self.top_shapes = [(regions[0], image[1], *self.cells)]

    def forward(self, x: Tensor, regions: Tensor) -> Tensor:
        """(N, C, H, W) and (R, 5) to (R, C, pooled_h, pooled_w)."""
        rows = regions.detach().reshape(-1, 5).float()
        items = checked_index(self, rows[:, 0], x.shape[0], "item of a region").tolist()
        scaled = rows[:, 1:] * self.spatial_scale
        corners = torch.where(scaled < 0, -torch.floor(-scaled + 0.5), torch.floor(scaled + 0.5))  # C's round
        tops = [self._pool(x[item], *self._windows(corner, x)) for item, corner in zip(items, corners, strict=True)]
        return torch.stack(tops) if tops else x.new_zeros((0, x.shape[1], *self.cells))

    def _windows(self, corner: Tensor, x: Tensor) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return start and stop of the rows and of the columns of cells."""
        x1, y1, x2, y2 = corner.unbind()
        return (
            _cell_bounds(y1, y2, self.cells[0], x.shape[2]),
            _cell_bounds(x1, x2, self.cells[1], x.shape[3]),
        )

    def _pool(self, image: Tensor, rows: list[tuple[int, int]], columns: list[tuple[int, int]]) -> Tensor:
        cells = [_maximum(image[:, top:bottom, left:right]) for top, bottom in rows for left, right in columns]
        return torch.stack(cells, 1).reshape(-1, *self.cells)


def _cell_bounds(first: Tensor, last: Tensor, cells: int, size: int) -> list[tuple[int, int]]:
    """Return start and stop of every cell between two inclusive coordinates, clipped to the image."""
    step = (last - first + 1).clamp(min=1) / cells  # float32, as in Caffe
    number = torch.arange(cells, dtype=torch.float32, device=first.device)
    start = (torch.floor(number * step) + first).clamp(0, size)
    stop = (torch.ceil((number + 1) * step) + first).clamp(0, size)
    return [(int(a), int(b)) for a, b in zip(start.tolist(), stop.tolist(), strict=True)]


def _maximum(cell: Tensor) -> Tensor:
    """Return the maximum per channel; the gradient flows to the first position that has it."""
    if cell.numel() == 0:
        return cell.new_zeros(cell.shape[0])
    return cell.flatten(1).max(1).values
