"""SPP layer: spatial pyramid pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers import _pooling
from prototxt_like.layers.base import Layer, Shape
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    SPPParameter,
)

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("SPP")
class SPP(Layer):
    """Pool into 1, 4, 16, ... windows (``pyramid_height`` levels) and concatenate the results to one row.

    With ``pyramid_height: 1``, the top has 4 axes, as in Caffe.

    Source: BVLC/caffe src/caffe/layers/spp_layer.cpp
    """

    parameter_field = "spp_param"
    restrictions = (
        "An image too small for the finest windows (padding as wide as a window) raises an error, as in Caffe.",
        "STOCHASTIC requires sizes divisible by the number of windows, because it does not support padding.",
        "`engine` has no effect.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the pyramid levels."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) != 4:
            self.fail_shape(f"the bottom must have 4 axes (N, C, height, width), found {format_shape(shape)}")
        self.height: int = options.pyramid_height
        if not 1 <= self.height <= 16:
            self.fail(f"invalid pyramid_height: found {self.height}, expected 1 to 16")
        self.method = SPPParameter.PoolMethod.Name(options.pool)
        windows = [self._window(level, shape) for level in range(self.height)]
        for level, window in enumerate(windows):
            self._check(level, window)
        pooled = [window.pooled for window in windows]
        features = sum(shape[1] * rows * columns for rows, columns in pooled)
        self.top_shapes = [(*shape[:2], *pooled[0]) if self.height == 1 else (shape[0], features)]

    def _window(self, level: int, shape: Shape) -> _pooling.PoolingWindow:
        bins = 2**level
        kernel = (-(-shape[2] // bins), -(-shape[3] // bins))
        pad = ((kernel[0] * bins - shape[2] + 1) // 2, (kernel[1] * bins - shape[3] + 1) // 2)
        return _pooling.PoolingWindow((shape[2], shape[3]), kernel, kernel, pad, ceil=True)

    def _check(self, level: int, window: _pooling.PoolingWindow) -> None:
        if any(pad >= size for pad, size in zip(window.pad, window.kernel, strict=True)):
            self.fail_shape(
                f"the image {format_shape(window.size)} is too small for {2**level} x {2**level} windows; "
                "use a lower pyramid_height"
            )
        if self.method == "STOCHASTIC" and any(window.pad):
            self.fail_shape(
                f"the image {format_shape(window.size)} is not divisible into {2**level} windows, "
                "and STOCHASTIC does not support padding; use MAX or AVE"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * windows)."""
        levels = [self._pool(x, self._window(level, x.shape)) for level in range(self.height)]
        if self.height == 1:
            return levels[0]
        return torch.cat([level.flatten(1) for level in levels], 1)

    def _pool(self, x: Tensor, window: _pooling.PoolingWindow) -> Tensor:
        if self.method == "STOCHASTIC":
            return _pooling.draw(x, window) if self.training else _pooling.weigh(x, window)
        return _pooling.maximum(x, window) if self.method == "MAX" else _pooling.average(x, window)
