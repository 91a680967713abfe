"""Upsample layer: SegNet's, with a pooling mask, or YOLO's, nearest neighbor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

_SEGNET_FIELDS = ("scale_h", "scale_w", "pad_out_h", "pad_out_w", "upsample_h", "upsample_w")


@register("Upsample")
class Upsample(Layer):
    """Enlarge height and width.

    With two bottoms (SegNet): put every value back to its position in bottom 1, the mask of a MAX pooling, and 0
    elsewhere. The size is ``upsample_h`` x ``upsample_w``, or the bottom times ``scale`` (2), minus 1 with
    ``pad_out_h`` or ``pad_out_w``. If two values have one position, the last one counts.

    With one bottom (YOLO): repeat every value ``scale`` times in both directions.

    Source: alexgkendall/caffe-segnet src/caffe/layers/upsample_layer.cpp; ChenYingpeng/darknet2caffe upsample_layer.cpp
    """

    origin = "SegNet, YOLO"
    max_bottoms = 2
    parameter_field = "upsample_param"
    restrictions = ("The two meanings are distinguished by the number of bottoms.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Infer the size."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) != 4:
            self.fail_shape(f"the bottom must have 4 axes (N, C, height, width), found {format_shape(shape)}")
        self.scale = self._scale(options)
        if len(self.bottom_shapes) == 2:
            self.same_shapes(why="the mask must have the shape of the bottom")
            self.size = self._masked_size(options, shape[2], shape[3])
        else:
            self._check_nearest(options)
            self.size = (shape[2] * self.scale[0], shape[3] * self.scale[1])
        self.top_shapes = [(*shape[:2], *self.size)]

    def _check_nearest(self, options: Any) -> None:
        written = [field for field in _SEGNET_FIELDS if options.HasField(field)]
        if written:
            self.fail(
                f"{written[0]} belongs to SegNet's Upsample, which needs the pooling mask as bottom 1; "
                "add the mask, or set only scale (YOLO's)"
            )

    def _scale(self, options: Any) -> tuple[int, int]:
        if options.HasField("scale_h") != options.HasField("scale_w"):
            self.fail("set both scale_h and scale_w")
        default = options.scale if options.HasField("scale") or len(self.bottom_shapes) == 1 else 2
        scale = (options.scale_h, options.scale_w) if options.HasField("scale_h") else (default, default)
        if min(scale) < 1:
            self.fail(f"scale must be positive, found {format_shape(scale)}")
        return scale

    def _masked_size(self, options: Any, height: int, width: int) -> tuple[int, int]:
        if options.HasField("upsample_h") and options.HasField("upsample_w"):
            return options.upsample_h, options.upsample_w
        padded = options.pad_out_h, options.pad_out_w
        if any(pad and scale != 2 for pad, scale in zip(padded, self.scale, strict=True)):
            self.fail("pad_out_h and pad_out_w need scale 2; use upsample_h and upsample_w")
        return height * self.scale[0] - padded[0], width * self.scale[1] - padded[1]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if mask is None:
            return x.repeat_interleave(self.scale[0], 2).repeat_interleave(self.scale[1], 3)
        index = checked_index(self, mask.detach(), self.size[0] * self.size[1], "position in the mask")
        top = x.new_zeros((*x.shape[:2], self.size[0] * self.size[1]))
        return top.scatter(2, index.flatten(2), x.flatten(2)).reshape(*x.shape[:2], *self.size)
