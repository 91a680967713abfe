"""The pyramid: one picture at many sizes, so that a network of fixed view meets every face at its own scale."""

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
"""Pixels of a level that go through PNet in one call; its activations take about 120 bytes a pixel."""
FLOATS_AT_ONCE = 1 << 24
"""Numbers of a picture that are held as float32 at once while it is shrunk (64 MiB)."""


@dataclass(frozen=True)
class Level:
    """One size of the pyramid: pixels of the level = scale x pixels of the picture."""

    scale: float
    height: int
    width: int


@dataclass(frozen=True)
class Tile:
    """Part of a level: whole rows of some pictures.

    Attributes:
        first_picture: index of the first picture.
        first_row: row of the level where the tile begins; even.
        pixels: (N, 3, h, w) float32, range -1 to 1, RGB, channels last in memory.
    """

    first_image: int
    first_row: int
    pixels: Tensor


def levels(height: int, width: int, min_face: float) -> list[Level]:
    """List the sizes at which to look, largest first.

    The last level is the one where the shorter side of the picture is 12 to 17 pixels. With `min_face` 20 these are
    the levels of mtcnn 1.0.0, which goes on below the 12 pixels that PNet needs when `min_face` is larger (and then
    finds nothing at all).

    Args:
        height: rows of the picture.
        width: columns of the picture.
        min_face: side of the smallest face to find, in pixels.

    Source: mtcnn 1.0.0, mtcnn/utils/images.py, function build_scale_pyramid
    """
    shorter = min(height, width)
    count = round(math.log(shorter * 20 / (CELL_SIZE * min_face)) / -math.log(SCALE_FACTOR) - 1)
    scales = CELL_SIZE / min_face * SCALE_FACTOR ** np.arange(max(count, 0))
    return [Level(float(scale), int(height * scale), int(width * scale)) for scale in scales]


def tiles(images: Tensor, level: Level) -> Iterator[Tile]:
    """Yield a level of equally large pictures in parts small enough for the processor's cache and memory.

    Neighbouring parts share the rows that PNet's window spans, so every window is seen exactly once.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        level: the size wanted.
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
    """Bring pixels from 0 ... 255 to -1 ... 1 in place."""
    return pixels.sub_(127.5).div_(128)


def as_float(pixels: Tensor) -> Tensor:
    """A float32 copy, contiguous.

    Source: on the CPU numpy does it, for its large arrays come in huge memory pages: 15 times faster than torch here.
    """
    if pixels.device.type == "cpu":
        return torch.from_numpy(np.ascontiguousarray(pixels.numpy(), dtype=np.float32))
    return pixels.float().contiguous()


@dataclass(frozen=True)
class AreaFilter:
    """Shrinks one axis: every new pixel is the mean of the old ones below it, parts of pixels counted as parts.

    Attributes:
        old: (new size, taps) int64, indices of the old pixels.
        weights: (new size, taps) float32, rows sum to 1.
    """

    old: Tensor
    weights: Tensor

    def part(self, start: int, stop: int) -> AreaFilter:
        """The filter for the new pixels from `start` to `stop` only."""
        return AreaFilter(self.old[start:stop], self.weights[start:stop])

    def source(self) -> slice:
        """The old pixels that the filter looks at."""
        return slice(int(self.old.min()), int(self.old.max()) + 1)

    def apply(self, lines: Tensor, offset: int = 0) -> Tensor:
        """Shrink the second axis.

        Args:
            lines: (N, old, K) float32.
            offset: index of the first of these old pixels.

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
    """The filter from `old_size` to `new_size` pixels, with the float32 arithmetic of TensorFlow's AREA resize.

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
