"""Apply a TransformationParameter to batches, on the device of the batch.

    uint8 images -> brightness, contrast -> minus mean -> crop, mirror, affine -> scale -> standardize -> erase

Crop, mirror, mean and scale are Caffe's. The other steps are extensions, described in the schema.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from prototxt_like.errors import NetError, ShapeMismatch
from prototxt_like.io.files import read_mean
from prototxt_like.schema.caffe_schema_pb2 import TransformationParameter
from prototxt_like.transforms import augment

# Weights of blue, green and red for gray values (ITU-R BT.601), in Caffe's channel order.
_GRAY_WEIGHTS = (0.114, 0.587, 0.299)
_SSD_FIELDS = ("resize_param", "noise_param", "emit_constraint", "distort_param", "expand_param")
_AFFINE_FIELDS = ("rotation", "zoom", "shift", "shear")


class Transform:
    """Transform images to the input of a net.

    Each image of a batch has its own random numbers. They depend only on the generator, so equal generators give equal
    batches. TEST is deterministic.

    Args:
        parameter: TransformationParameter; copied.
        phase: "TRAIN" (random) or "TEST" (center crop, no augmentation).
        mean: (C, H, W) mean image in the full size of the images, cropped at the position of the image crop. None =
            read from ``mean_file``, if set.

    Raises:
        FileError: If mean_file cannot be read.
        NetError: If fields contradict each other or are not supported.
    Source: BVLC/caffe src/caffe/data_transformer.cpp:42-133
    """

    def __init__(self, parameter: TransformationParameter, phase: str, mean: Tensor | None = None) -> None:
        check_transform(parameter, has_mean=mean is not None)
        self.parameter = TransformationParameter()
        self.parameter.CopyFrom(parameter)
        self.phase = phase
        self.crop = (parameter.crop_h or parameter.crop_size, parameter.crop_w or parameter.crop_size)
        if mean is None and parameter.mean_file:
            mean = torch.from_numpy(read_mean(parameter.mean_file))
        if mean is None and parameter.mean_value:
            mean = torch.tensor(list(parameter.mean_value)).reshape(-1, 1, 1)
        self.mean = mean
        self._is_affine = any(getattr(parameter, name) for name in _AFFINE_FIELDS)

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Transform a batch.

        Args:
            images: (N, C, H, W) uint8 or float, 0 to 255; color channels are blue, green, red.
            generator: Generator on the device of the images; None = torch's default generator.

        Returns:
            (N, C, crop, crop) float32 in new memory.

        Raises:
            ShapeMismatch: If the images are smaller than the crop, or their size differs from that of the mean.
        """
        height, width = self._crop_of(images)
        if self.phase == "TRAIN":
            return self._apply_train(images, height, width, generator)
        top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
        return self.crop_at(images, top, left)

    def crop_at(self, images: Tensor, top: int, left: int) -> Tensor:
        """Transform without randomness, with the crop at a given position.

        Args:
            images: (N, C, H, W) uint8 or float, 0 to 255.
            top: First row of the crop.
            left: First column of the crop.

        Returns:
            (N, C, crop, crop) float32 in new memory.

        Raises:
            ShapeMismatch: If the crop exceeds the images.
        """
        height, width = self._crop_of(images)
        if not (0 <= top <= images.shape[-2] - height and 0 <= left <= images.shape[-1] - width):
            raise ShapeMismatch(
                f"crop {height} x {width} at row {top}, column {left} "
                f"exceeds images of {images.shape[-2]} x {images.shape[-1]}"
            )
        rows, columns = slice(top, top + height), slice(left, left + width)
        values = self._to_float(images[..., rows, columns])
        mean = self._mean_for(images)
        if mean is not None:
            values -= mean[..., rows, columns] if mean.shape[-2:] == images.shape[-2:] else mean
        return self._finish(values)

    def affine(self, images: Tensor, *, degrees: float = 0.0, zoom: float = 1.0) -> Tensor:
        """Transform without randomness, with the images rotated and scaled about the center of the crop.

        Args:
            images: (N, C, H, W) uint8 or float, 0 to 255.
            degrees: Angle; positive is clockwise.
            zoom: Scale factor; above 1 enlarges.

        Returns:
            (N, C, crop, crop) float32 in new memory, from one bilinear interpolation as in augmentation.

        Raises:
            ShapeMismatch: If the images are smaller than the crop, or their size differs from that of the mean.
        """
        height, width = self._crop_of(images)
        values = self._to_float(images)
        mean = self._mean_for(images)
        if mean is not None:
            values -= mean
        window = augment.center_crop_window(images, height, width)
        return self._finish(augment.warp(values, window, augment.rotate_and_scale(degrees, zoom, images.device)))

    def _apply_train(self, images: Tensor, height: int, width: int, generator: torch.Generator | None) -> Tensor:
        parameter = self.parameter
        values = self._to_float(images)
        random = augment.BatchRandom(len(images), images.device, generator)
        if parameter.brightness or parameter.contrast:
            values = augment.color_jitter(values, random, parameter.brightness, parameter.contrast)
        mean = self._mean_for(images)
        if mean is not None:
            values -= mean
        window = augment.random_crop_window(random, images.shape[-2:], (height, width), mirror=parameter.mirror)
        if self._is_affine:
            turn = augment.random_affine(random, parameter.rotation, parameter.zoom, parameter.shift, parameter.shear)
            values = augment.warp(values, window, turn)
        else:
            values = augment.crop(values, window)
        values = self._finish(values)
        return augment.random_erasing(values, random, parameter.erasing) if parameter.erasing else values

    def _to_float(self, images: Tensor) -> Tensor:
        """Return a float32 copy, converted to gray or color if the parameter requires it."""
        values = images.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if self.parameter.force_gray and values.shape[1] == 3:
            weights = values.new_tensor(_GRAY_WEIGHTS).reshape(1, 3, 1, 1)
            return (values * weights).sum(1, keepdim=True).round_()
        if self.parameter.force_color and values.shape[1] == 1:
            return values.repeat(1, 3, 1, 1)
        return values

    def _finish(self, values: Tensor) -> Tensor:
        if self.parameter.scale != 1:
            values *= self.parameter.scale
        return augment.standardize(values) if self.parameter.per_picture_normalization else values

    def _crop_of(self, images: Tensor) -> tuple[int, int]:
        if images.ndim != 4:
            raise ShapeMismatch(f"wrong number of axes of the images: found {images.ndim}, expected 4 (N x C x H x W)")
        size = images.shape[-2], images.shape[-1]
        crop = self.crop[0] or size[0], self.crop[1] or size[1]
        if crop[0] > size[0] or crop[1] > size[1]:
            raise ShapeMismatch(
                f"crop {crop[0]} x {crop[1]} exceeds images of {size[0]} x {size[1]}; use a smaller crop"
            )
        return crop

    def _mean_for(self, images: Tensor) -> Tensor | None:
        """Return the mean on the device of the images, checked against their size."""
        if self.mean is None:
            return None
        channels = 1 if self.parameter.force_gray else 3 if self.parameter.force_color else images.shape[1]
        is_image = self.mean.shape[-2:] != (1, 1)
        if self.mean.shape[0] not in ((channels,) if is_image else (1, channels)):
            raise ShapeMismatch(
                f"wrong number of channels of the mean: found {self.mean.shape[0]}, expected {channels}"
            )
        if is_image and self.mean.shape[-2:] != images.shape[-2:]:
            raise ShapeMismatch(
                f"wrong size of the mean: found {self.mean.shape[-2]} x {self.mean.shape[-1]}, expected "
                f"{images.shape[-2]} x {images.shape[-1]}, the size of the images before the crop"
            )
        if self.mean.device != images.device:
            self.mean = self.mean.to(images.device)
        return self.mean


def check_transform(parameter: TransformationParameter, *, has_mean: bool = False) -> None:
    """Check a TransformationParameter.

    Args:
        parameter: TransformationParameter to check.
        has_mean: Whether a mean image is passed in addition.

    Raises:
        NetError: If a field is out of range, not supported, or contradicts another.
    """
    if parameter.mean_value and (parameter.mean_file or has_mean):
        raise NetError("transform_param has both mean_value and a mean image; remove one of them")
    if parameter.force_color and parameter.force_gray:
        raise NetError("transform_param has both force_color and force_gray; remove one of them")
    if bool(parameter.crop_h) != bool(parameter.crop_w) or (parameter.crop_size and parameter.crop_h):
        raise NetError("transform_param has an invalid crop; set either crop_size, or both crop_h and crop_w")
    for name in _SSD_FIELDS:
        if parameter.HasField(name):
            raise NetError(f"transform_param.{name} of the SSD fork is not supported; remove it")
    for name, (holds, range_text) in _RANGES.items():
        if not holds(getattr(parameter, name)):
            raise NetError(f"invalid transform_param.{name}: found {getattr(parameter, name):g}, expected {range_text}")


def _below(limit: float) -> tuple[Callable[[float], bool], str]:
    return lambda value: 0 <= value < limit, f"at least 0 and less than {limit:g}"


_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "rotation": (lambda value: 0 <= value <= 180, "between 0 and 180 degrees"),
    "zoom": _below(1),
    "shift": _below(1),
    "shear": _below(90),
    "brightness": _below(1),
    "contrast": _below(1),
    "erasing": (lambda value: 0 <= value <= 1, "between 0 and 1"),
}
