"""Augmentation of whole batches; every function does one thing, and all randomness comes from a `BatchRandom`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Random erasing as its authors do it: share of the picture's area, and height over width.
# Source: Zhong et al., "Random erasing data augmentation", 2020
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers, one for each picture of a batch.

    Args:
        count: pictures in the batch.
        device: where the numbers are made.
        generator: on that device; torch's own if None.
    """

    count: int
    device: torch.device
    generator: torch.Generator | None = None

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(N,) float32 in [low, high)."""
        return torch.rand(self.count, device=self.device, generator=self.generator) * (high - low) + low

    def symmetric(self, middle: float, reach: float) -> Tensor:
        """(N,) float32 in [middle - reach, middle + reach)."""
        return self.uniform(middle - reach, middle + reach)

    def integer(self, count: int) -> Tensor:
        """(N,) int64 in [0, count)."""
        return torch.randint(count, (self.count,), device=self.device, generator=self.generator)

    def bernoulli(self, probability: float) -> Tensor:
        """(N,) bool, True with this probability."""
        return self.uniform() < probability


@dataclass(frozen=True)
class CropWindow:
    """Where each picture is cut.

    Args:
        top: (N,) int64, first row; (1,) where it is the same for all.
        left: (N,) int64, first column.
        height: rows of the result.
        width: columns of the result.
        mirrored: (N,) bool, whether the cut is flipped left to right; None = none of them.
    """

    top: Tensor
    left: Tensor
    height: int
    width: int
    mirrored: Tensor | None


def random_crop_window(
    random: BatchRandom, size: Sequence[int], crop_size: tuple[int, int], *, mirror: bool
) -> CropWindow:
    """Choose a crop anywhere in each picture, and flip half of them if `mirror` is set.

    Args:
        random: random numbers.
        size: height and width of the pictures.
        crop_size: height and width of the cut.
        mirror: whether to flip.
    """
    top, left = random.integer(size[0] - crop_size[0] + 1), random.integer(size[1] - crop_size[1] + 1)
    return CropWindow(top, left, *crop_size, random.bernoulli(0.5) if mirror else None)


def center_crop_window(values: Tensor, height: int, width: int) -> CropWindow:
    """The middle of all pictures of a batch; one window for all of them, nothing mirrored."""
    top, left = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
    return CropWindow(
        torch.tensor([top], device=values.device), torch.tensor([left], device=values.device), height, width, None
    )


def crop(values: Tensor, window: CropWindow) -> Tensor:
    """Cut a window out of each picture.

    Args:
        values: (N, C, H, W) float32.
        window: where.

    Returns:
        (N, C, height, width) float32; every pixel is one of the picture's.
    """
    count, channels, _, image_width = values.shape
    across = torch.arange(window.width, device=values.device)
    if window.mirrored is not None:
        across = torch.where(window.mirrored[:, None], window.width - 1 - across, across)
    rows = window.top[:, None] + torch.arange(window.height, device=values.device)  # (N, height)
    columns = window.left[:, None] + across  # (N, width)
    index = (rows[:, :, None] * image_width + columns[:, None, :]).reshape(count, 1, -1)
    pixels = values.flatten(2).gather(2, index.expand(count, channels, -1))
    return pixels.reshape(count, channels, window.height, window.width)


def random_affine(random: BatchRandom, rotation: float, zoom: float, shift: float, shear: float) -> Tensor:
    """Draw a linear map and a shift for each picture.

    Args:
        random: random numbers.
        rotation: largest angle in degrees, either way.
        zoom: largest relative change of size; the factor is 1 - zoom to 1 + zoom.
        shift: largest shift as a fraction of the picture's side.
        shear: largest shear in degrees, either way.

    Returns:
        (N, 2, 3) float32: from an offset to the window's centre, in pixels of the result, to the same in pixels of
        the picture; the third column is a fraction of the picture's sides.
    """
    angle = random.symmetric(0.0, math.radians(rotation))
    slant = torch.tan(random.symmetric(0.0, math.radians(shear)))
    size = random.symmetric(1.0, zoom)
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    across, down = random.symmetric(0.0, shift), random.symmetric(0.0, shift)
    first = torch.stack([cosine, slant * cosine - sine, across], dim=1)
    second = torch.stack([sine, slant * sine + cosine, down], dim=1)
    return torch.stack([first, second], dim=1)


def rotate_and_scale(degrees: float, zoom: float, device: torch.device) -> Tensor:
    """The affine map that turns and zooms all pictures of a batch alike, as `random_affine` writes it.

    Args:
        degrees: angle; clockwise if positive.
        zoom: factor of size; above 1 is nearer.
        device: of the result.

    Returns:
        (1, 2, 3) float32.
    """
    cosine, sine = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    return torch.tensor([[[cosine, sine, 0.0], [-sine, cosine, 0.0]]], device=device)


def warp(values: Tensor, window: CropWindow, affine: Tensor) -> Tensor:
    """Cut a window out of each picture through an affine map, in one interpolation.

    Args:
        values: (N, C, H, W) float32.
        window: where, before the map turns it about its centre.
        affine: (N, 2, 3), what `random_affine` gave; with a window for all pictures (1, 2, 3).

    Returns:
        (N, C, height, width) float32, bilinear; beyond the picture its border goes on.
    """
    count, channels, image_height, image_width = values.shape
    image = values.new_tensor([image_width, image_height])
    result = values.new_tensor([window.width, window.height])
    if window.mirrored is not None:
        flip = torch.where(window.mirrored, -1.0, 1.0)
        affine = torch.cat([affine[:, :, :1] * flip[:, None, None], affine[:, :, 1:]], dim=2)
    corner = torch.stack([window.left, window.top], dim=1)  # (N, 2) x, y
    # torch's coordinates run from -1 to 1 between the outer edges of the first and the last pixel.
    linear = affine[:, :, :2] * result / image[:, None]
    center = (2 * corner + result) / image - 1 + 2 * affine[:, :, 2]
    theta = torch.cat([linear, center[:, :, None]], dim=2)
    grid = F.affine_grid(theta, [len(theta), channels, window.height, window.width], align_corners=False)
    grid = grid.expand(count, -1, -1, -1)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)


def color_jitter(values: Tensor, random: BatchRandom, brightness: float, contrast: float) -> Tensor:
    """Multiply each picture's values, and stretch them about its own mean; then clip to 0 to 255.

    Args:
        values: (N, C, H, W) float32, 0 to 255; changed in place.
        random: random numbers.
        brightness: the factor is 1 - brightness to 1 + brightness.
        contrast: the factor on the distance to the mean is 1 - contrast to 1 + contrast.

    Returns:
        (N, C, H, W) float32, 0 to 255.
    """
    if brightness:
        values *= _per_image(random.symmetric(1.0, brightness))
    if contrast:
        mean = values.mean(dim=(1, 2, 3), keepdim=True)
        values -= mean
        values *= _per_image(random.symmetric(1.0, contrast))
        values += mean
    return values.clamp_(0, 255)


def standardize(values: Tensor) -> Tensor:
    """Bring each picture to mean 0 and standard deviation 1 by its own values; a flat picture becomes 0.

    Args:
        values: (N, C, H, W) float32.
    """
    variance, mean = torch.var_mean(values, dim=(1, 2, 3), correction=0, keepdim=True)
    return (values - mean) * torch.rsqrt(variance + 1e-8) * (variance > 1e-6)


def random_erasing(values: Tensor, random: BatchRandom, probability: float) -> Tensor:
    """Fill a rectangle of random size and place with the picture's mean, with a given chance.

    Args:
        values: (N, C, H, W) float32.
        random: random numbers.
        probability: chance for each picture.
    """
    height, width = values.shape[-2:]
    area = random.uniform(*ERASED_AREA) * height * width
    aspect = torch.exp(random.uniform(*map(math.log, ERASED_ASPECT)))
    rows = torch.sqrt(area * aspect).round().clamp(max=height)
    columns = torch.sqrt(area / aspect).round().clamp(max=width)
    top = (random.uniform() * (height - rows + 1)).floor()
    left = (random.uniform() * (width - columns + 1)).floor()
    inside_rows = _between(height, top, rows)[:, None, :, None]
    inside_columns = _between(width, left, columns)[:, None, None, :]
    erased = inside_rows & inside_columns & _per_image(random.bernoulli(probability))
    return torch.where(erased, values.mean(dim=(1, 2, 3), keepdim=True), values)


def _between(count: int, first: Tensor, length: Tensor) -> Tensor:
    """(N, count) bool: positions from first on, for a length."""
    position = torch.arange(count, device=first.device)
    return (position >= first[:, None]) & (position < (first + length)[:, None])


def _per_image(numbers: Tensor) -> Tensor:
    return numbers.reshape(-1, 1, 1, 1)
