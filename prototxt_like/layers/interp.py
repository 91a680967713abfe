"""Interp layer of DeepLab and PSPNet: bilinear resize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Interp")
class Interp(Layer):
    """Resize height and width with bilinear interpolation; the corners of bottom and top coincide.

    The size is (size - 1) * zoom_factor + 1, (size - 1) / shrink_factor + 1, both in the order shrink, zoom, or
    ``height`` and ``width``. Negative ``pad_beg`` and ``pad_end`` crop the bottom first.

    Source: hszhao/PSPNet src/caffe/layers/interp_layer.cpp
    """

    origin = "DeepLab, PSPNet"
    allows_in_place = False
    parameter_field = "interp_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the crop and infer the size."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) != 4:
            self.fail_shape(f"the bottom must have 4 axes (N, C, height, width), found {format_shape(shape)}")
        if options.pad_beg > 0 or options.pad_end > 0:
            self.fail("pad_beg and pad_end must not be positive, because they crop")
        if options.shrink_factor < 1 or options.zoom_factor < 1:
            self.fail("shrink_factor and zoom_factor must be at least 1")
        self.crop = -options.pad_beg, -options.pad_end
        cropped = [size - sum(self.crop) for size in shape[2:]]
        if min(cropped) < 1:
            self.fail_shape(f"pad_beg and pad_end crop all of the bottom {format_shape(shape)}")
        self.size = self._size(options, cropped)
        self.top_shapes = [(*shape[:2], *self.size)]

    def _size(self, options: Any, cropped: list[int]) -> tuple[int, int]:
        shrinks, zooms = options.HasField("shrink_factor"), options.HasField("zoom_factor")
        has_size = options.HasField("height") and options.HasField("width")
        if has_size and shrinks == zooms:  # Caffe's order: one factor, the size, both factors
            height, width = options.height, options.width
        elif shrinks or zooms:
            height, width = (((size - 1) // options.shrink_factor) * options.zoom_factor + 1 for size in cropped)
        else:
            self.fail("set zoom_factor, shrink_factor, or height and width")
        if min(height, width) < 1:
            self.fail(f"height and width must be positive, found {height} x {width}")
        return height, width

    def forward(self, x: Tensor) -> Tensor:
        """Crop and resize (N, C, H, W) to (N, C, H', W')."""
        start, end = self.crop
        cropped = x[:, :, start : x.shape[2] - end, start : x.shape[3] - end]
        return F.interpolate(cropped, self.size, mode="bilinear", align_corners=True)
