"""Tests for the augmentation functions."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from prototxt_like.transforms.augment import (
    ERASED_AREA,
    BatchRandom,
    CropWindow,
    color_jitter,
    crop,
    random_affine,
    random_crop_window,
    random_erasing,
    standardize,
    warp,
)

COUNT = 2000


def batch_random(count: int = COUNT, seed: int = 7) -> BatchRandom:
    return BatchRandom(count, torch.device("cpu"), torch.Generator().manual_seed(seed))


def smooth(count: int = 4, height: int = 15, width: int = 17) -> torch.Tensor:
    """Return smooth asymmetric images, 0 to 255."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([100 + 80 * torch.sin(3 * x + i) + 60 * y * x for i in range(count)])[:, None]


def affine(count: int, linear: list[list[float]], shift: tuple[float, float] = (0, 0)) -> torch.Tensor:
    rows = [[*row, move] for row, move in zip(linear, shift, strict=True)]
    return torch.tensor(rows, dtype=torch.float32).expand(count, 2, 3)


IDENTITY = [[1.0, 0.0], [0.0, 1.0]]


def test_warp_by_the_identity_is_a_crop() -> None:
    images = smooth(50)
    window = random_crop_window(batch_random(50), (15, 17), (9, 11), mirror=True)
    assert window.mirrored is not None and 10 < window.mirrored.sum() < 40
    torch.testing.assert_close(warp(images, window, affine(50, IDENTITY)), crop(images, window), atol=1e-3, rtol=0)


def test_warp_equals_scikit_image() -> None:
    angle, slant, size, shift = math.radians(20), math.tan(math.radians(8)), 0.8, (0.1, -0.05)
    image = smooth(1)
    window = CropWindow(torch.tensor([3]), torch.tensor([2]), 9, 11, None)
    linear = [
        [math.cos(angle) / size, (slant * math.cos(angle) - math.sin(angle)) / size],
        [math.sin(angle) / size, (slant * math.sin(angle) + math.cos(angle)) / size],
    ]
    found = warp(image, window, affine(1, linear, shift))[0, 0]
    center = torch.tensor([2 + 5.0, 3 + 4.0])  # x, y of the window's middle pixel
    matrix = torch.eye(3)
    matrix[:2, :2] = torch.tensor(linear)
    matrix[:2, 2] = center + torch.tensor([0.1 * 17, -0.05 * 15]) - matrix[:2, :2] @ torch.tensor([5.0, 4.0])
    source = image[0, 0].double().numpy()
    expected = skimage_warp(
        source, AffineTransform(matrix.double().numpy()), output_shape=(9, 11), order=1, mode="edge"
    )
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), atol=2e-3, rtol=0)


def test_rotation_does_not_stretch() -> None:
    maps = random_affine(batch_random(), rotation=12, zoom=0, shift=0, shear=0)
    torch.testing.assert_close(maps[:, :, :2] @ maps[:, :, :2].mT, torch.eye(2).expand(COUNT, 2, 2))
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert -12 <= angles.min() < -11.5 and 11.5 < angles.max() <= 12
    assert maps[:, :, 2].abs().max() == 0


def test_zoom_enlarges_and_shrinks() -> None:
    maps = random_affine(batch_random(), rotation=0, zoom=0.25, shift=0, shear=0)
    sizes = 1 / maps[:, 0, 0]
    assert torch.equal(maps[:, 0, 0], maps[:, 1, 1])
    assert 0.75 <= sizes.min() < 0.76 and 1.24 < sizes.max() <= 1.25
    assert maps[:, 0, 1].abs().max() == 0


def test_enlarging_makes_things_larger() -> None:
    image = torch.zeros(1, 1, 21, 21)
    image[..., 8:13, 8:13] = 1
    window = CropWindow(torch.tensor([0]), torch.tensor([0]), 21, 21, None)
    assert warp(image, window, affine(1, [[0.5, 0], [0, 0.5]])).sum() == pytest.approx(4 * 25, rel=0.05)


def test_shift_is_a_fraction_of_the_size() -> None:
    maps = random_affine(batch_random(), rotation=0, zoom=0, shift=0.2, shear=0)
    assert torch.equal(maps[:, :, :2], torch.eye(2).expand(COUNT, 2, 2))
    for move in (maps[:, 0, 2], maps[:, 1, 2]):
        assert -0.2 <= move.min() < -0.19 and 0.19 < move.max() <= 0.2
    assert torch.corrcoef(maps[:, :, 2].T)[0, 1].abs() < 0.1


def test_shear_slants_the_columns_and_keeps_the_area() -> None:
    maps = random_affine(batch_random(), rotation=0, zoom=0, shift=0, shear=10)
    torch.testing.assert_close(torch.linalg.det(maps[:, :, :2]), torch.ones(COUNT))
    slants = torch.rad2deg(torch.atan(maps[:, 0, 1]))
    assert -10 <= slants.min() < -9.5 and 9.5 < slants.max() <= 10
    assert maps[:, 1, 0].abs().max() == 0


def test_brightness_multiplies_and_stays_in_range() -> None:
    flat = torch.full((COUNT, 1, 2, 3), 200.0)
    found = color_jitter(flat.clone(), batch_random(), brightness=0.4, contrast=0)
    assert found.max() == 255 and 120 <= found.min() < 122
    assert torch.equal(found[:, :, :1, :1].expand_as(found), found)


def test_contrast_keeps_the_mean_and_scales_the_deviation() -> None:
    images = smooth(1).expand(COUNT, 1, 15, 17).clone()
    found = color_jitter(images.clone(), batch_random(), brightness=0, contrast=0.3)
    torch.testing.assert_close(found.mean((1, 2, 3)), images.mean((1, 2, 3)), rtol=1e-4, atol=1e-3)
    factors = found.std((1, 2, 3)) / images.std((1, 2, 3))
    assert factors.min() + 1e-4 >= 0.7 and factors.min() < 0.71 and 1.29 < factors.max() < 1.3001


def test_normalized_images_have_mean_0_and_deviation_1() -> None:
    found = standardize(torch.cat([smooth(3), torch.full((1, 1, 15, 17), 77.0)]))
    torch.testing.assert_close(found[:3].mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:3].std((1, 2, 3), correction=0), torch.ones(3))
    assert torch.equal(found[3], torch.zeros(1, 15, 17))


def test_erasing_fills_one_rectangle_with_the_mean() -> None:
    images = torch.rand(COUNT, 2, 24, 20, generator=torch.Generator().manual_seed(1))
    found = random_erasing(images, batch_random(), 0.4)
    changed = (found != images).any(dim=1)
    erased = changed.flatten(1).any(dim=1)
    assert erased.float().mean().item() == pytest.approx(0.4, abs=0.05)
    rows, columns = changed.any(dim=2).sum(dim=1), changed.any(dim=1).sum(dim=1)
    assert torch.equal(changed.sum(dim=(1, 2)), rows * columns)
    share = (rows * columns)[erased] / (24 * 20)
    assert share.min() >= ERASED_AREA[0] * 0.5 and share.max() <= ERASED_AREA[1] * 1.2
    mean = images.mean((1, 2, 3), keepdim=True).expand_as(images)
    mask = changed[:, None].expand_as(images)
    assert torch.equal(found[mask], mean[mask])


def test_erasing_reaches_every_pixel() -> None:
    images = torch.rand(COUNT, 1, 8, 10, generator=torch.Generator().manual_seed(1))
    hits = (random_erasing(images, batch_random(), 1.0) != images).float().mean(dim=(0, 1))
    assert hits.min() > 0.03
