"""Pooling of height and width by Caffe's rules for window positions.

torch's pooling is used if its windows are the same. If a window starts outside the image (torch drops it) or the
padding is wider than half the kernel (torch raises an error), the image is padded first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_LOWEST_FLOAT32 = torch.finfo(torch.float32).min  # initial value of the maximum in Caffe


@dataclass(frozen=True)
class PoolingWindow:
    """Pooling window and the size of the image; pairs are (height, width)."""

    size: tuple[int, ...]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    ceil: bool

    @property
    def pooled(self) -> tuple[int, int]:
        """Size of the top."""
        height, width = (self._pooled(axis) for axis in (0, 1))
        return height, width

    def _pooled(self, axis: int) -> int:
        pad, stride = self.pad[axis], self.stride[axis]
        steps = (self.size[axis] + 2 * pad - self.kernel[axis]) / stride
        windows = (math.ceil(steps) if self.ceil else math.floor(steps)) + 1
        # Caffe checks both paddings before it clips either axis
        if any(self.pad) and (windows - 1) * stride >= self.size[axis] + pad:
            windows -= 1
        return windows

    @property
    def as_torch(self) -> bool:
        """Whether torch's pooling has the same windows."""
        return all(self._axis_as_torch(axis) for axis in (0, 1))

    def _axis_as_torch(self, axis: int) -> bool:
        last_start = (self._pooled(axis) - 1) * self.stride[axis]
        return 2 * self.pad[axis] <= self.kernel[axis] and last_start < self.size[axis] + self.pad[axis]

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom) that fits exactly the windows of the top."""
        sides = []
        for axis in (1, 0):
            reach = (self._pooled(axis) - 1) * self.stride[axis] + self.kernel[axis]
            sides += [self.pad[axis], max(0, reach - self.pad[axis] - self.size[axis])]
        return sides[0], sides[1], sides[2], sides[3]


def _fit(x: Tensor, window: PoolingWindow, value: float) -> Tensor:
    """Pad, and crop what no window covers."""
    rows, columns = ((p - 1) * s + k for p, s, k in zip(window.pooled, window.stride, window.kernel, strict=True))
    return F.pad(x, window.padding, value=value)[:, :, :rows, :columns]


def _lowest(x: Tensor) -> float:
    return max(torch.finfo(x.dtype).min, _LOWEST_FLOAT32)


def _channels_last(x: Tensor) -> Tensor:
    """Return the image as channels_last on the CPU, which makes max pooling four times as fast.

    With a backward pass, the two conversions would cost more than they save.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
        return x
    return x.contiguous(memory_format=torch.channels_last)


def maximum(x: Tensor, window: PoolingWindow) -> Tensor:
    """Return the maximum of every window, or the lowest float32 if the window has no values."""
    fast = _channels_last(x)
    if window.as_torch:
        top = F.max_pool2d(fast, window.kernel, window.stride, window.pad, ceil_mode=window.ceil)
    else:
        top = F.max_pool2d(_fit(fast, window, _lowest(x)), window.kernel, window.stride)
    # Restore the layout. Otherwise the next convolution would round differently, and other maxima would be selected.
    return top if fast is x else top.contiguous()


def maximum_and_index(x: Tensor, window: PoolingWindow) -> tuple[Tensor, Tensor]:
    """Return the maximum of every window and its index row * width + column, or -1 if the window has no values."""
    if window.as_torch:
        top, index = F.max_pool2d(
            x, window.kernel, window.stride, window.pad, ceil_mode=window.ceil, return_indices=True
        )
        return top, index
    fitted = _fit(x, window, _lowest(x))
    top, index = F.max_pool2d(fitted, window.kernel, window.stride, return_indices=True)
    row = index // fitted.shape[3] - window.pad[0]
    column = index % fitted.shape[3] - window.pad[1]
    inside = (row >= 0) & (row < x.shape[2]) & (column >= 0) & (column < x.shape[3])
    return top, torch.where(inside, row * x.shape[3] + column, -1)


def average(x: Tensor, window: PoolingWindow) -> Tensor:
    """Return the sum of every window divided by its area, which is clipped at size + pad; 0 without values."""
    if window.as_torch:
        return F.avg_pool2d(x, window.kernel, window.stride, window.pad, ceil_mode=window.ceil)
    sums = F.avg_pool2d(_fit(x, window, 0.0), window.kernel, window.stride, divisor_override=1)
    height, width = (_clipped(window, axis, x) for axis in (0, 1))
    return sums / (height[:, None] * width[None, :]).clamp(min=1)


def _clipped(window: PoolingWindow, axis: int, x: Tensor) -> Tensor:
    """Return the length of every window along an axis, clipped at size + pad."""
    start = torch.arange(window.pooled[axis], device=x.device) * window.stride[axis] - window.pad[axis]
    stop = (start + window.kernel[axis]).clamp(max=window.size[axis] + window.pad[axis])
    return (stop - start).clamp(min=0)


def _windows(x: Tensor, window: PoolingWindow) -> Tensor:
    """Return the values of all windows, 0 outside the image: (N, C, H, W) -> (N, C, H', W', kernel size)."""
    fitted = _fit(x, window, 0.0)
    views = fitted.unfold(2, window.kernel[0], window.stride[0]).unfold(3, window.kernel[1], window.stride[1])
    return views.flatten(4)


def draw(x: Tensor, window: PoolingWindow) -> Tensor:
    """Sample one value of every window with a probability proportional to it."""
    values = _windows(x, window)
    running = values.detach().cumsum(-1)
    threshold = torch.rand_like(running[..., :1]) * running[..., -1:]
    index = (running < threshold).sum(-1, keepdim=True).clamp(max=values.shape[-1] - 1)
    return values.gather(-1, index).squeeze(-1)


def weigh(x: Tensor, window: PoolingWindow) -> Tensor:
    """Return the mean of every window weighted by the values; 0 if they sum to 0."""
    values = _windows(x, window)
    total = values.sum(-1)
    return torch.where(total > 0, (values * values).sum(-1) / torch.where(total > 0, total, 1), 0)
