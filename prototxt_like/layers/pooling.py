"""Pooling layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers import _pooling
from prototxt_like.layers.base import Layer, Shape
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema import caffe_schema_pb2

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

_OPTIONS = caffe_schema_pb2.PoolingParameter


@register("Pooling")
class Pooling(Layer):
    """Maximum, mean or random value of every window over height and width.

    MAX: a second top contains the index of each maximum, row * width + column, as float.
    AVE: the divisor is the size of the window clipped at height + pad, so padding is included.
    STOCHASTIC: samples a value with a probability proportional to it (TRAIN), or computes the weighted mean (TEST).

    Source: BVLC/caffe src/caffe/layers/pooling_layer.cpp
    """

    max_tops = 2
    parameter_field = "pooling_param"
    restrictions = (
        "A window outside the image (possible without `pad` if `stride` is greater than the kernel) is -3.4e38 in MAX, "
        "as in Caffe, and 0 in AVE, for which Caffe divides 0 by 0.",
        "MAX propagates NaN; Caffe skips it.",
        "STOCHASTIC runs on any device (in Caffe only on a GPU). Its bottom must not be negative.",
        "In place, the top is a constant without gradient, as in Caffe, which clears it before it reads its bottom.",
        "`engine` has no effect.",
    )
    in_place_note = "as in Caffe, the bottom is cleared before it is read, so the top is constant; rename its top"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the window and infer the top shape."""
        options = self.layer_param(parameter)
        if len(self.bottom_shapes[0]) != 4:
            self.fail_shape(
                f"the bottom must have 4 axes (N, C, height, width), found {format_shape(self.bottom_shapes[0])}"
            )
        self.method = _OPTIONS.PoolMethod.Name(options.pool)
        self.ceil = options.round_mode == _OPTIONS.CEIL
        self.global_pooling = options.global_pooling
        self._read_window(options)
        if self.top_count == 2 and self.method != "MAX":
            self.fail(f"{self.method} pooling does not support a second top (the mask); use MAX or remove it")
        self.top_shapes = [self._top_shape(self.bottom_shapes[0])] * self.top_count
        if self.in_place and self.top_shapes[0] != self.bottom_shapes[0]:
            self.fail_shape("in place, the top must have the shape of the bottom; rename its top")

    def _read_window(self, options: Any) -> None:
        self.kernel = self._read_kernel(options)
        self.stride = self._pair(options, "stride")
        self.pad = self._pair(options, "pad")
        if self.global_pooling and (self.pad, self.stride) != ((0, 0), (1, 1)):
            self.fail("global_pooling requires pad 0 and stride 1")
        if min(self.stride) <= 0:
            self.fail("stride must be positive")
        if self.pad != (0, 0):
            if self.method == "STOCHASTIC":
                self.fail("STOCHASTIC pooling does not support pad; use MAX or AVE")
            if self.pad[0] >= self.kernel[0] or self.pad[1] >= self.kernel[1]:
                self.fail(f"pad {format_shape(self.pad)} must be smaller than the kernel {format_shape(self.kernel)}")

    def _read_kernel(self, options: Any) -> tuple[int, int]:
        square = options.HasField("kernel_size")
        height, width = options.HasField("kernel_h"), options.HasField("kernel_w")
        if self.global_pooling:
            if square or height or width:
                self.fail(
                    "global_pooling uses the size of the bottom as kernel; remove kernel_size, kernel_h and kernel_w"
                )
            return self.bottom_shapes[0][2], self.bottom_shapes[0][3]
        if square == (height and width) or height != width:
            self.fail("set either kernel_size, or both kernel_h and kernel_w")
        kernel = (options.kernel_size,) * 2 if square else (options.kernel_h, options.kernel_w)
        if min(kernel) <= 0:
            self.fail("the kernel must be at least 1 x 1")
        return kernel

    def _pair(self, options: Any, field: str) -> tuple[int, int]:
        height, width = options.HasField(f"{field}_h"), options.HasField(f"{field}_w")
        if height != width or (height and options.HasField(field)):
            self.fail(f"set either {field}, or both {field}_h and {field}_w")
        if height:
            return getattr(options, f"{field}_h"), getattr(options, f"{field}_w")
        return getattr(options, field), getattr(options, field)

    def _window(self, shape: Shape) -> _pooling.PoolingWindow:
        kernel = (shape[2], shape[3]) if self.global_pooling else self.kernel
        return _pooling.PoolingWindow(tuple(shape[2:]), kernel, self.stride, self.pad, self.ceil)

    def _top_shape(self, shape: Shape) -> Shape:
        pooled = self._window(shape).pooled
        if min(pooled) <= 0:
            self.fail_shape(f"the kernel {format_shape(self.kernel)} exceeds the bottom {format_shape(shape)}")
        # A window may start outside the image, which is then padded up to it.
        reach = ((p - 1) * s + k for p, s, k in zip(pooled, self.stride, self.kernel, strict=True))
        self.context.check_shape((*shape[:2], *reach), self.display_name)
        return (shape[0], shape[1], *pooled)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool (N, C, H, W) to (N, C, H', W')."""
        if self.in_place:
            return torch.full_like(x, torch.finfo(torch.float32).min if self.method == "MAX" else 0.0)
        if self.global_pooling and self.method == "AVE":
            return F.adaptive_avg_pool2d(x, 1)
        window = self._window(x.shape)
        if self.method == "AVE":
            return _pooling.average(x, window)
        if self.method == "STOCHASTIC":
            return _pooling.draw(x, window) if self.training else _pooling.weigh(x, window)
        if self.top_count == 2:
            top, index = _pooling.maximum_and_index(x, window)
            return top, index.to(torch.promote_types(x.dtype, torch.float32))
        return _pooling.maximum(x, window)
