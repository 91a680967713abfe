"""Batch augmentation functions. All random numbers come from a `BatchRandom`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Random erasing, ranges of the paper: fraction of the image area, and height divided by width.
# Source: Zhong et al., "Random erasing data augmentation", 2020
ERASED_AREA = (0.02, 0.4)
ERASED_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers, one per image of a batch.

    Args:
        count: Number of images in the batch.
        device: Device of the numbers.
        generator: Generator on that device; None = torch's default generator.
    """

    count: int
    device: torch.device
    generator: torch.Generator | None = None

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return (N,) float32 in [low, high)."""
        return torch.rand(self.count, device=self.device, generator=self.generator) * (high - low) + low

    def symmetric(self, middle: float, reach: float) -> Tensor:
        """Return (N,) float32 in [middle - reach, middle + reach)."""
        return self.uniform(middle - reach, middle + reach)

    def integer(self, count: int) -> Tensor:
        """Return (N,) int64 in [0, count)."""
        return torch.randint(count, (self.count,), device=self.device, generator=self.generator)

    def bernoulli(self, probability: float) -> Tensor:
        """Return (N,) bool, True with this probability."""
        return self.uniform() < probability


@dataclass(frozen=True)
class CropWindow:
    """Crop window of each image of a batch.

    Args:
        top: (N,) int64, first row; (1,) if equal for all images.
        left: (N,) int64, first column; (1,) if equal for all images.
        height: Number of rows.
        width: Number of columns.
        mirrored: (N,) bool, whether the crop is flipped left to right; None = no crop is flipped.
    """

    top: Tensor
    left: Tensor
    height: int
    width: int
    mirrored: Tensor | None


def random_crop_window(
    random: BatchRandom, size: Sequence[int], crop_size: tuple[int, int], *, mirror: bool
) -> CropWindow:
    """Return a random crop window for each image.

    Args:
        random: Random numbers.
        size: Height and width of the images.
        crop_size: Height and width of the crop.
        mirror: Whether to flip each crop with probability 0.5.
    """
    top, left = random.integer(size[0] - crop_size[0] + 1), random.integer(size[1] - crop_size[1] + 1)
    return CropWindow(top, left, *crop_size, random.bernoulli(0.5) if mirror else None)


def center_crop_window(values: Tensor, height: int, width: int) -> CropWindow:
    """Return one window for the center of all images, without flips."""
    top, left = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
    return CropWindow(
        torch.tensor([top], device=values.device), torch.tensor([left], device=values.device), height, width, None
    )


def crop(values: Tensor, window: CropWindow) -> Tensor:
    """Crop a window from each image.

    Args:
        values: (N, C, H, W) float32.
        window: Crop window.

    Returns:
        (N, C, height, width) float32, without interpolation.
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
    """Return a random affine map for each image.

    Args:
        random: Random numbers.
        rotation: Maximum angle in degrees, in both directions.
        zoom: Maximum relative change of size; the factor is 1 - zoom to 1 + zoom.
        shift: Maximum shift as a fraction of the image size, in both directions.
        shear: Maximum shear in degrees, in both directions.

    Returns:
        (N, 2, 3) float32. Maps an offset from the window's center, in pixels of the result, to an offset in pixels
        of the image. The third column is a shift as a fraction of the image size.
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
    """Return the affine map that rotates and scales all images of a batch equally; see `random_affine`.

    Args:
        degrees: Angle; positive is clockwise.
        zoom: Scale factor; above 1 enlarges.
        device: Device of the result.

    Returns:
        (1, 2, 3) float32.
    """
    cosine, sine = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    return torch.tensor([[[cosine, sine, 0.0], [-sine, cosine, 0.0]]], device=device)


def warp(values: Tensor, window: CropWindow, affine: Tensor) -> Tensor:
    """Crop a window from each image through an affine map, with one interpolation.

    Args:
        values: (N, C, H, W) float32.
        window: Crop window, before the map is applied about its center.
        affine: (N, 2, 3) from `random_affine`, or (1, 2, 3) if one window is used for all images.

    Returns:
        (N, C, height, width) float32, bilinear. Outside the image the border is repeated.
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
    """Apply random brightness and contrast to each image, and clip to 0 to 255.

    Args:
        values: (N, C, H, W) float32, 0 to 255; modified in place.
        random: Random numbers.
        brightness: Maximum change of the brightness factor; the factor is 1 - brightness to 1 + brightness.
        contrast: Maximum change of the factor on the distance to the image's mean.

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
    """Scale each image to mean 0 and standard deviation 1. A constant image becomes 0.

    Args:
        values: (N, C, H, W) float32.
    """
    variance, mean = torch.var_mean(values, dim=(1, 2, 3), correction=0, keepdim=True)
    # Not variance + 1e-8: the exporter to ONNX takes an addend this small for 0, and a constant image becomes NaN.
    return (values - mean) * torch.rsqrt(variance.clamp(min=1e-6)) * (variance > 1e-6)


def random_erasing(values: Tensor, random: BatchRandom, probability: float) -> Tensor:
    """Fill a random rectangle with the image's mean (random erasing).

    Args:
        values: (N, C, H, W) float32.
        random: Random numbers.
        probability: Probability per image, 0 to 1.
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
    """Return (N, count) bool, True for positions in [first, first + length)."""
    position = torch.arange(count, device=first.device)
    return (position >= first[:, None]) & (position < (first + length)[:, None])


def _per_image(numbers: Tensor) -> Tensor:
    return numbers.reshape(-1, 1, 1, 1)
