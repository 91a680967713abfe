"""Image pyramid: an image at several scales for a network with a window of fixed size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fer_lmdb.faces.detectors.mtcnn.nets import CELL_SIZE, STRIDE

SCALE_FACTOR = 0.709
PIXELS_AT_ONCE = 1 << 18
"""Maximum number of pixels per call of PNet, whose activations take about 120 bytes per pixel."""
FLOATS_AT_ONCE = 1 << 24
"""Maximum number of float32 values of an image in memory while it is downscaled (64 MiB)."""


@dataclass(frozen=True)
class Level:
    """One scale of the pyramid: pixels of the level = scale x pixels of the image."""

    scale: float
    height: int
    width: int


@dataclass(frozen=True)
class Tile:
    """Rows of a level of one or more images.

    Attributes:
        first_image: Index of the first image.
        first_row: First row of the level; even.
        pixels: (N, 3, h, w) float32, range -1 to 1, RGB, channels last in memory.
    """

    first_image: int
    first_row: int
    pixels: Tensor


def levels(height: int, width: int, min_face: float) -> list[Level]:
    """Return the levels of the pyramid, largest first.

    The shorter side of the last level is 12 to 17 pixels. With `min_face` 20 these are the levels of mtcnn 1.0.0. With
    a larger `min_face` the original continues below the 12 pixels that PNet needs, and then detects nothing.

    Args:
        height: Rows of the image.
        width: Columns of the image.
        min_face: Side of the smallest face to detect, in pixels.

    Source: mtcnn 1.0.0, mtcnn/utils/images.py, function build_scale_pyramid
    """
    shorter = min(height, width)
    count = round(math.log(shorter * 20 / (CELL_SIZE * min_face)) / -math.log(SCALE_FACTOR) - 1)
    scales = CELL_SIZE / min_face * SCALE_FACTOR ** np.arange(max(count, 0))
    return [Level(float(scale), int(height * scale), int(width * scale)) for scale in scales]


def tiles(images: Tensor, level: Level) -> Iterator[Tile]:
    """Yield a level of equally large images as tiles that fit into the processor's cache.

    Neighboring tiles overlap such that each window of PNet is contained in exactly one tile.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        level: Level to compute.
    """
    _, height, width, _ = images.shape
    step = max(1, PIXELS_AT_ONCE // (level.height * level.width))
    rows = max(STRIDE, PIXELS_AT_ONCE // level.width // STRIDE * STRIDE)
    shrink_y, shrink_x = area_filter(height, level.height), area_filter(width, level.width)
    for first in range(0, len(images), step):
        for top in range(0, level.height - CELL_SIZE + STRIDE, rows):
            bottom = min(top + rows + CELL_SIZE - STRIDE, level.height)
            shrunk = _shrink(images[first : first + step], shrink_y.part(top, bottom), shrink_x)
            yield Tile(first, top, normalize(shrunk))


def normalize(pixels: Tensor) -> Tensor:
    """Scale pixels from 0-255 to -1-1 in place."""
    return pixels.sub_(127.5).div_(128)


def as_float(pixels: Tensor) -> Tensor:
    """Return a contiguous float32 copy.

    On a CPU numpy makes the copy: its large arrays use huge memory pages, which is 15 times as fast as torch here.
    """
    if pixels.device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(pixels.numpy(), dtype=np.float32))
    return pixels.float().contiguous()


@dataclass(frozen=True)
class AreaFilter:
    """Area filter along one axis: a new pixel is the mean of the old pixels that it covers, weighted by coverage.

    Attributes:
        old: (new size, taps) int64 indices of old pixels.
        weights: (new size, taps) float32, rows sum to 1.
    """

    old: Tensor
    weights: Tensor

    def part(self, start: int, stop: int) -> AreaFilter:
        """Return the filter restricted to the new pixels from `start` to `stop`."""
        return AreaFilter(self.old[start:stop], self.weights[start:stop])

    def source(self) -> slice:
        """Return the range of old pixels that the filter reads."""
        return slice(int(self.old.min()), int(self.old.max()) + 1)

    def apply(self, lines: Tensor, offset: int = 0) -> Tensor:
        """Filter the second axis.

        Args:
            lines: (N, old, K) float32.
            offset: Index of the first old pixel in `lines`.

        Returns:
            (N, new, K) float32.
        """
        count, old_size, length = lines.shape
        first_line = torch.arange(count, device=lines.device)[:, None, None] * old_size
        indices = first_line + (self.old - offset).to(lines.device)  # (N, new, taps)
        weights = self.weights.to(lines.device).expand(count, -1, -1)
        shrunk = functional.embedding_bag(
            indices.flatten(0, 1),
            lines.reshape(-1, length),
            per_sample_weights=weights.flatten(0, 1),
            mode="sum",
        )
        return shrunk.view(count, -1, length)


@lru_cache(maxsize=256)
def area_filter(old_size: int, new_size: int) -> AreaFilter:
    """Return the filter from `old_size` to `new_size` pixels, in the float32 arithmetic of TensorFlow's AREA resize.

    Source: tensorflow/core/kernels/image/resize_area_op.cc
    """
    ratio = np.float32(old_size) / np.float32(new_size)
    begin = np.arange(new_size, dtype=np.float32) * ratio
    end = np.arange(1, new_size + 1, dtype=np.float32) * ratio
    taps = int((np.ceil(end) - np.floor(begin)).max())
    old = np.floor(begin).astype(np.int64)[:, None] + np.arange(taps)
    covered = np.minimum(old + 1, end[:, None]) - np.maximum(old, begin[:, None])
    weights = (covered.clip(0) / ratio).astype(np.float32)
    return AreaFilter(torch.from_numpy(old.clip(max=old_size - 1)), torch.from_numpy(weights))


def _shrink(images: Tensor, shrink_y: AreaFilter, shrink_x: AreaFilter) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, h, w) float32, channels last in memory."""
    count, _, width, _ = images.shape
    source = shrink_y.source()
    columns = max(1, FLOATS_AT_ONCE // (count * (source.stop - source.start) * 3))
    parts = []
    for left in range(0, width, columns):
        block = as_float(images[:, source, left : left + columns])
        parts.append(shrink_y.apply(block.flatten(2), source.start))  # (N, h, columns * 3)
    rows = torch.cat(parts, dim=2).unflatten(2, (width, 3))  # (N, h, W, 3)
    columns_first = rows.transpose(1, 2).flatten(2)  # (N, W, h * 3)
    shrunk = shrink_x.apply(columns_first).unflatten(2, (-1, 3))  # (N, w, h, 3)
    return shrunk.permute(0, 3, 2, 1).contiguous(memory_format=torch.channels_last)
