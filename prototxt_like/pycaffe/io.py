"""Arrays and images for pycaffe: conversion of messages, loading, resizing and preprocessing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from prototxt_like.io.blobs import array_to_blob, blob_shape
from prototxt_like.schema.caffe_schema_pb2 import BlobProto, BlobProtoVector, Datum


def blobproto_to_array(blob: BlobProto, return_diff: bool = False) -> np.ndarray:
    """Return the values of a blob, or its gradients, as an array in its shape."""
    values = (blob.diff or blob.double_diff) if return_diff else (blob.data or blob.double_data)
    return np.array(values).reshape(blob_shape(blob))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> BlobProto:
    """Return a blob with the values of an array, and gradients of the same shape if they are given."""
    blob = array_to_blob(np.asarray(arr))
    if diff is not None:
        blob.diff.extend(np.asarray(diff, dtype=float).flat)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """Serialize a list of arrays."""
    return BlobProtoVector(blobs=[array_to_blobproto(array) for array in arraylist]).SerializeToString()


def blobprotovector_str_to_arraylist(serialized: bytes) -> list[np.ndarray]:
    """Return the arrays of a serialized list."""
    return [blobproto_to_array(blob) for blob in BlobProtoVector.FromString(serialized).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> Datum:
    """Return a Datum.

    Args:
        arr: (C, H, W); uint8 is stored as bytes, anything else as floats.
        label: Class number.

    Raises:
        ValueError: If the array does not have three axes.
    """
    if arr.ndim != 3:
        raise ValueError(f"wrong number of axes: found {arr.ndim}, expected 3 (C x H x W)")
    datum = Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: Datum) -> np.ndarray:
    """Return the (C, H, W) array of a Datum that is not encoded."""
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape)
    return np.array(datum.float_data, dtype=float).reshape(shape)


def load_image(filename: Any, color: bool = True) -> np.ndarray:
    """Load an image.

    Args:
        filename: Path of the image.
        color: Whether to return red, green and blue, or gray.

    Returns:
        (H, W, 3) or (H, W, 1) float32, 0 to 1.
    """
    from skimage import color as conversion
    from skimage import io
    from skimage.util import img_as_float

    image = img_as_float(io.imread(str(filename))).astype(np.float32)
    if image.ndim == 2:
        image = image[:, :, None]
        return np.tile(image, (1, 1, 3)) if color else image
    image = image[:, :, :3]
    return image if color else conversion.rgb2gray(image)[:, :, None].astype(np.float32)


def resize_image(im: np.ndarray, new_dims: Sequence[int], interp_order: int = 1) -> np.ndarray:
    """Resize an image.

    Args:
        im: (H, W, C) array of any range.
        new_dims: New height and width.
        interp_order: Order of the interpolation, 1 = bilinear.

    Returns:
        (H', W', C) float32 in the range of the input.
    """
    from skimage.transform import resize

    low, high = float(im.min()), float(im.max())
    if high <= low:
        return np.full((*new_dims[:2], im.shape[-1]), low, np.float32)
    scaled = (im - low) / (high - low)
    resized = resize(scaled, tuple(new_dims), order=interp_order, mode="constant", anti_aliasing=False)
    return (resized * (high - low) + low).astype(np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: Sequence[int]) -> np.ndarray:
    """Crop the four corners and the center of images, and mirror the crops.

    Args:
        images: N arrays (H, W, C) of one size.
        crop_dims: Height and width of the crops.

    Returns:
        (10 * N, crop height, crop width, C) float32: five crops, then their mirror images, for each image.
    """
    height, width = images[0].shape[:2]
    rows, columns = (int(size) for size in crop_dims)
    corners = [(top, left) for top in (0, height - rows) for left in (0, width - columns)]
    corners.append((int(height / 2.0 - rows / 2.0), int(width / 2.0 - columns / 2.0)))
    crops = []
    for image in images:
        views = [image[top : top + rows, left : left + columns] for top, left in corners]
        crops += views + [view[:, ::-1] for view in views]
    return np.array(crops, dtype=np.float32)


class Transformer:
    """Preprocessing of an image for an input of a net.

    resize -> transpose -> channel swap -> * raw scale -> - mean -> * input scale

    Args:
        inputs: Shape of each input blob by name.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Transform an image.

        Args:
            in_: Name of the input.
            data: (H, W, C) image.

        Returns:
            Array in the shape of the input without its batch axis, float32.
        """
        self._check(in_)
        image = np.array(data, dtype=np.float32)
        if image.shape[:2] != self.inputs[in_][2:]:
            image = resize_image(image, self.inputs[in_][2:])
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        image = image * np.float32(self.raw_scale.get(in_, 1.0))
        if in_ in self.mean:
            image = image - self.mean[in_]
        return np.asarray(image * np.float32(self.input_scale.get(in_, 1.0)), dtype=np.float32)

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Invert ``preprocess``, except for the resizing.

        Args:
            in_: Name of the input.
            data: One item of the input blob.
        """
        self._check(in_)
        image = data.copy().squeeze() / self.input_scale.get(in_, 1.0)
        if in_ in self.mean:
            image = image + self.mean[in_].squeeze() if image.ndim == 2 else image + self.mean[in_]
        image = image / self.raw_scale.get(in_, 1.0)
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose and image.ndim == 3:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return np.asarray(image)

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the axes, e.g. (2, 0, 1) for (H, W, C) images."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise ValueError(f"wrong length of the order: found {len(order)}, expected {len(self.inputs[in_]) - 1}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the channels, e.g. (2, 1, 0) from RGB to BGR."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise ValueError(f"wrong length of the order: found {len(order)}, expected {self.inputs[in_][1]} channels")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean is subtracted, e.g. 255."""
        self._check(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Set the mean: one value per channel, or an image, which is resized to the input.

        Raises:
            ValueError: If its shape does not fit.
        """
        self._check(in_)
        shape = self.inputs[in_][1:]
        mean = np.asarray(mean, dtype=np.float32)
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise ValueError(f"wrong number of mean values: found {len(mean)}, expected {shape[0]}")
            mean = mean[:, None, None]
        elif mean.ndim not in (2, 3):
            raise ValueError(f"wrong number of axes of the mean: found {mean.ndim}, expected 1 to 3")
        elif mean.shape[-2:] != shape[1:]:
            planes = mean if mean.ndim == 3 else mean[None]
            mean = resize_image(planes.transpose(1, 2, 0), shape[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor after the mean is subtracted."""
        self._check(in_)
        self.input_scale[in_] = scale

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")
