"""PriorBox layer of SSD: prior boxes (anchors)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("PriorBox")
class PriorBox(Layer):
    """Prior boxes of all sizes and aspect ratios around the center of every cell of bottom 0, with variances.

    Bottom 1 is the image. Its size is used if ``img_size`` (or ``img_h`` and ``img_w``) is not set.
    Top (1, 2, cells * boxes * 4): corners x1, y1, x2, y2 as fractions of the image size, then the variances.
    For each ``min_size``: a square of that size, a square of size sqrt(min_size * max_size) if ``max_size`` is set,
    then one box per aspect ratio (and per inverse ratio with ``flip``).

    Source: weiliu89/caffe (ssd) src/caffe/layers/prior_box_layer.cpp
    """

    origin = "SSD"
    min_bottoms = 2
    max_bottoms = 2
    parameter_field = "prior_box_param"
    restrictions = ("As in SSD, sizes are truncated to integer pixels.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read sizes, ratios and variances."""
        options = self.layer_param(parameter)
        for what, shape in zip(("bottom 0", "bottom 1"), self.bottom_shapes, strict=True):
            if len(shape) != 4:
                self.fail_shape(f"{what} must have 4 axes (N, C, height, width), found {format_shape(shape)}")
        self.box_sizes = self._box_sizes(options)
        self.variances = self._variances(list(options.variance))
        self.image_size = self._pair(options, "img", "img_size")
        self.step = self._pair(options, "step", "step")
        self.offset: float = options.offset
        self.clip: bool = options.clip
        height, width = self.bottom_shapes[0][2:]
        self.top_shapes = [(1, 2, height * width * len(self.box_sizes) * 4)]

    def _box_sizes(self, options: Any) -> list[tuple[float, float]]:
        """Return width and height of every box of a cell, in pixels."""
        smallest, largest = list(options.min_size), list(options.max_size)
        if not smallest or not all(_is_size(size) for size in smallest):
            self.fail(f"min_size must be set, positive and finite, found {smallest}")
        if largest and len(largest) != len(smallest):
            self.fail(f"{len(largest)} max_size for {len(smallest)} min_size; set none, or one per min_size")
        if any(not (_is_size(high) and high > low) for low, high in zip(smallest, largest, strict=False)):
            self.fail(f"every max_size must be greater than its min_size and finite, found {largest}")
        ratios = self._ratios(list(options.aspect_ratio), options.flip)
        sizes = []
        for index, size in enumerate(smallest):
            side = float(int(size))
            sizes.append((side, side))
            if largest:
                between = math.sqrt(int(size) * int(largest[index]))
                sizes.append((between, between))
            sizes += [(side * math.sqrt(ratio), side / math.sqrt(ratio)) for ratio in ratios]
        return sizes

    def _ratios(self, given: list[float], flip: bool) -> list[float]:
        """Return the aspect ratios other than 1, without duplicates."""
        ratios = [1.0]
        for ratio in given:
            if not _is_size(ratio):
                self.fail(f"invalid aspect_ratio: found {ratio:g}, expected a positive finite number")
            if all(abs(ratio - other) >= 1e-6 for other in ratios):
                ratios += [ratio, 1 / ratio] if flip else [ratio]
        return ratios[1:]

    def _variances(self, given: list[float]) -> list[float]:
        if len(given) not in (0, 1, 4) or not all(_is_size(value) for value in given):
            self.fail(f"variance {given} must be one positive number, or four")
        return given if len(given) == 4 else (given or [0.1]) * 4

    def _pair(self, options: Any, stem: str, single: str) -> tuple[float, float] | None:
        """Return height and width of the image or the step, or None if they follow from the bottoms."""
        names = [f"{stem}_h", f"{stem}_w"]
        both = [options.HasField(name) for name in names]
        if any(both) and options.HasField(single):
            self.fail(f"{single} and {names[0]}/{names[1]} are both set; use one of them")
        if not any(both) and not options.HasField(single):
            return None
        if any(both) and not all(both):
            self.fail(f"{names[0]} and {names[1]} must be set together")
        values = [getattr(options, name) for name in (names if any(both) else [single] * 2)]
        if not all(_is_size(value) for value in values):
            self.fail(f"the values of {single} or {names[0]}/{names[1]} must be positive")
        return values[0], values[1]

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Return boxes and variances. Only the sizes of the bottoms are used."""
        height, width = features.shape[2], features.shape[3]
        image_height, image_width = self.image_size or (image.shape[2], image.shape[3])
        step_y, step_x = self.step or (image_height / height, image_width / width)
        device, exact = features.device, torch.float32
        x = (torch.arange(width, device=device, dtype=exact) + self.offset) * step_x
        y = (torch.arange(height, device=device, dtype=exact) + self.offset) * step_y
        sizes = torch.tensor(self.box_sizes, device=device, dtype=exact)  # (boxes, 2): width, height
        center = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)  # (H, W, 2)
        # (H, W, 1, 2) and (boxes, 2) -> (H, W, boxes, 4)
        corners = torch.cat([center[:, :, None] - sizes / 2, center[:, :, None] + sizes / 2], -1)
        boxes = corners / torch.tensor([image_width, image_height] * 2, device=device, dtype=exact)
        boxes = (boxes.clamp(0, 1) if self.clip else boxes).reshape(-1)
        variances = torch.tensor(self.variances, device=device, dtype=exact).repeat(boxes.numel() // 4)
        return torch.stack([boxes, variances]).unsqueeze(0)


def _is_size(value: float) -> bool:
    return 0 < value < math.inf  # False for NaN
