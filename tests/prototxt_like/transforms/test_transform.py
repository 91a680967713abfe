"""Tests of TransformationParameter on batches against a loop over pixels as in Caffe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import prototxt_like as pl
from prototxt_like.errors import NetError, PrototxtLikeError, ShapeMismatch


def parameter(text: str) -> pl.TransformationParameter:
    return text_format.Parse(text, pl.TransformationParameter())


def random_images(count: int = 40, channels: int = 1, height: int = 11, width: int = 13) -> torch.Tensor:
    """Return images with unique pixel values, which reveal the position of a crop."""
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator, dtype=torch.uint8)


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def caffe_pixel_loop(image: np.ndarray, mean: np.ndarray, top: int, left: int, crop: int, mirror: bool) -> np.ndarray:
    result = np.empty((image.shape[0], crop, crop), dtype=np.float32)
    for channel in range(image.shape[0]):
        for row in range(crop):
            for column in range(crop):
                value = np.float32(image[channel, top + row, left + column])
                target = crop - 1 - column if mirror else column
                result[channel, row, target] = (value - mean[channel, top + row, left + column]) * np.float32(0.5)
    return result


@pytest.mark.parametrize("channels", [1, 3])
def test_every_training_image_is_a_possible_result_of_caffe(channels: int) -> None:
    images = random_images(12, channels)
    mean = torch.rand(channels, 11, 13, generator=seeded()) * 255
    transform = pl.Transform(parameter("crop_size: 9 mirror: true scale: 0.5"), "TRAIN", mean=mean)
    found = transform(images, generator=seeded())
    chosen = set()
    for image, result in zip(images.numpy(), found.numpy(), strict=True):
        matches = [
            (top, left, mirror)
            for top in range(3)
            for left in range(5)
            for mirror in (False, True)
            if np.array_equal(caffe_pixel_loop(image, mean.numpy(), top, left, 9, mirror), result)
        ]
        assert len(matches) == 1
        chosen.add(matches[0])
    assert len(chosen) > 6


def test_crop_positions_and_mirrors_are_uniform() -> None:
    ramp = torch.arange(8 * 8, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(3000, 1, 8, 8)
    found = pl.Transform(parameter("crop_size: 6 mirror: true"), "TRAIN")(ramp, generator=seeded())
    corners = found[:, 0, 0, 0].long()
    mirrored = found[:, 0, 0, 0] > found[:, 0, 0, 1]
    left = torch.where(mirrored, corners % 8 - 5, corners % 8)
    for choice in (corners // 8, left):
        assert torch.bincount(choice, minlength=3).tolist() == pytest.approx([1000] * 3, abs=120)
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_test_phase_crops_the_center_of_image_and_mean() -> None:
    images, mean = random_images(), torch.rand(1, 11, 13, generator=seeded()) * 255
    transform = pl.Transform(parameter("crop_size: 8 mirror: true"), "TEST", mean=mean)
    expected = images[..., 1:9, 2:10].float() - mean[:, 1:9, 2:10]
    assert torch.equal(transform(images), expected)
    assert torch.equal(transform.crop_at(images, 3, 5), images[..., 3:, 5:].float() - mean[:, 3:, 5:])


def test_center_crop_equals_caffes_deploy_input(shared: Path) -> None:
    with np.load(shared / "golden/caffe/deploy_sgd200_42.npz") as golden:
        data = golden["data"] if "data" in golden.files else golden["blob/data"]
    mean = pl.read_mean(shared / "golden/caffe/test_mean.binaryproto")
    whole = data[:, :, :, :] + mean[:, 3:45, 3:45]  # Caffe's pixels before mean subtraction
    images = torch.zeros(len(data), 1, 48, 48, dtype=torch.uint8)
    images[..., 3:45, 3:45] = torch.from_numpy(whole).round().to(torch.uint8)
    found = pl.Transform(parameter("crop_size: 42"), "TEST", mean=torch.from_numpy(mean))(images)
    np.testing.assert_allclose(found.numpy(), data, atol=2e-5)


def test_affine_rotates_clockwise_and_scales_about_the_center_of_the_crop() -> None:
    images = torch.randint(0, 256, (3, 1, 12, 12), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(2)) * 255
    transform = pl.Transform(pl.parse_transform("crop_size: 8 scale: 0.5"), "TEST", mean=mean)
    straight = transform(images)
    assert torch.allclose(transform.affine(images), straight, atol=1e-4)
    assert torch.allclose(transform.affine(images, degrees=90), straight.rot90(-1, (2, 3)), atol=1e-3)
    assert torch.allclose(transform.affine(images, degrees=-180), straight.rot90(2, (2, 3)), atol=1e-3)
    # Scale 3: every third pixel is an original pixel from the center of the crop.
    near = pl.Transform(pl.parse_transform("crop_size: 6 scale: 0.5"), "TEST", mean=mean).affine(images, zoom=3)
    assert torch.allclose(near[..., 1::3, 1::3], straight[..., 3:5, 3:5], atol=1e-3)
    with pytest.raises(pl.ShapeMismatch, match="exceeds images"):
        transform.affine(images[..., :7], degrees=6)


def test_mean_file_mean_values_and_scale(tmp_path: Path) -> None:
    mean = np.random.default_rng(0).uniform(0, 255, (3, 11, 13)).astype(np.float32)
    pl.write_mean(mean, tmp_path / "mean.binaryproto")
    images = random_images(4, 3)
    with_file = pl.Transform(parameter(f'mean_file: "{tmp_path}/mean.binaryproto" scale: 0.25'), "TEST")(images)
    np.testing.assert_array_equal(with_file.numpy(), (images.numpy() - mean) * np.float32(0.25))
    with_values = pl.Transform(parameter("mean_value: 104 mean_value: 117 mean_value: 123"), "TEST")(images)
    expected = images.numpy() - np.array([104, 117, 123], np.float32).reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(with_values.numpy(), expected)
    one_for_all = pl.Transform(parameter("mean_value: 9"), "TRAIN")(images, generator=seeded())
    np.testing.assert_array_equal(one_for_all.numpy(), images.numpy() - np.float32(9))


def test_an_empty_transform_copies_the_images() -> None:
    for images in (random_images(), random_images().float()):
        original = images.clone()
        for phase in ("TRAIN", "TEST"):
            found = pl.Transform(parameter("scale: 2"), phase)(images, generator=seeded())
            assert torch.equal(found, original.float() * 2)
            assert torch.equal(images, original)


def test_equal_generators_give_equal_batches() -> None:
    text = (
        "crop_size: 9 mirror: true rotation: 9 zoom: 0.1 shift: 0.1 shear: 5 brightness: 0.1 contrast: 0.1 erasing: 1"
    )
    transform = pl.Transform(parameter(text), "TRAIN")
    first, second = (transform(random_images(), generator=seeded(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, transform(random_images(), generator=seeded(4)))


def test_extensions_act_only_in_train() -> None:
    text = "crop_size: 9 rotation: 9 zoom: 0.1 shift: 0.1 shear: 5 brightness: 0.1 contrast: 0.1 erasing: 1"
    found = pl.Transform(parameter(text), "TEST")(random_images())
    assert torch.equal(found, pl.Transform(parameter("crop_size: 9"), "TEST")(random_images()))


def test_gray_and_color_are_forced() -> None:
    color = torch.tensor([10, 100, 200], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(2, 3, 4, 5)
    gray = pl.Transform(parameter("force_gray: true"), "TEST")(color)
    assert torch.equal(gray, torch.full((2, 1, 4, 5), round(0.114 * 10 + 0.587 * 100 + 0.299 * 200)).float())
    assert torch.equal(pl.Transform(parameter("force_gray: true"), "TEST")(random_images()), random_images().float())
    tripled = pl.Transform(parameter("force_color: true mean_value: 1"), "TEST")(random_images())
    assert torch.equal(tripled, random_images().float().expand(-1, 3, -1, -1) - 1)


def test_rectangular_crop() -> None:
    found = pl.Transform(parameter("crop_h: 5 crop_w: 7"), "TEST")(random_images())
    assert torch.equal(found, random_images()[..., 3:8, 3:10].float())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('mean_value: 1 mean_file: "m"', "both mean_value and a mean image"),
        ("force_gray: true force_color: true", "both force_color and force_gray"),
        ("crop_h: 5", "both crop_h and crop_w"),
        ("crop_size: 3 crop_h: 5 crop_w: 5", "set either crop_size"),
        ("resize_param { }", "transform_param.resize_param of the SSD fork"),
        ("zoom: 1", "invalid transform_param.zoom: found 1, expected at least 0 and less than 1"),
        ("erasing: 1.5", "erasing: found 1.5, expected between 0 and 1"),
        ("rotation: -3", "rotation: found -3, expected between 0 and 180 degrees"),
    ],
)
def test_contradictions_are_rejected(text: str, message: str) -> None:
    with pytest.raises(NetError, match=message):
        pl.Transform(parameter(text), "TRAIN")


@pytest.mark.parametrize(
    ("text", "mean", "images", "message"),
    [
        ("crop_size: 12", None, random_images(), "crop 12 x 12 exceeds images of 11 x 13"),
        ("", torch.zeros(1, 9, 9), random_images(), "wrong size of the mean: found 9 x 9, expected 11 x 13"),
        ("", torch.zeros(3, 11, 13), random_images(), "wrong number of channels of the mean: found 3, expected 1"),
        ("mean_value: 1 mean_value: 2", None, random_images(), "channels of the mean: found 2"),
        ("", None, random_images()[0], "wrong number of axes of the images: found 3"),
    ],
)
def test_wrong_image_sizes_are_rejected(
    text: str, mean: torch.Tensor | None, images: torch.Tensor, message: str
) -> None:
    for phase in ("TRAIN", "TEST"):
        with pytest.raises(ShapeMismatch, match=message):
            pl.Transform(parameter(text), phase, mean=mean)(images)


def test_a_crop_outside_the_image_is_rejected() -> None:
    with pytest.raises(ShapeMismatch, match="crop 9 x 9 at row 3, column 0 exceeds images of 11 x 13"):
        pl.Transform(parameter("crop_size: 9"), "TEST").crop_at(random_images(), 3, 0)


def test_a_missing_mean_file_is_reported() -> None:
    with pytest.raises(PrototxtLikeError, match="no/such"):
        pl.Transform(parameter('mean_file: "no/such.binaryproto"'), "TEST")
