"""BlobProto and numpy arrays: one holds the other's numbers, bit for bit."""

from __future__ import annotations

import math

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.schema.caffe_schema_pb2 import BlobProto

LEGACY_FIELDS = ("num", "channels", "height", "width")


def blob_shape(blob: BlobProto) -> tuple[int, ...]:
    """Shape of a blob; a file older than BlobShape always has four axes.

    Raises:
        FileError: a negative size.
    """
    shape = tuple(getattr(blob, name) for name in LEGACY_FIELDS) if is_legacy(blob) else tuple(blob.shape.dim)
    if any(size < 0 for size in shape):
        raise FileError(f"a blob has the shape {shape}; no size may be negative")
    return shape


def is_legacy(blob: BlobProto) -> bool:
    """Whether the shape is written as num, channels, height, width."""
    return any(blob.HasField(name) for name in LEGACY_FIELDS)


def blob_to_array(blob: BlobProto, name: str = "blob") -> np.ndarray:
    """The numbers of a blob.

    Args:
        blob: the message.
        name: what error messages call it.

    Returns:
        float32 in the blob's shape; double_data is rounded to float32, as Caffe does.

    Raises:
        FileError: the count of numbers does not fit the shape.
    """
    shape = blob_shape(blob)
    numbers = blob.double_data if len(blob.double_data) else blob.data
    # The check comes before any array is made: a file of a few bytes may claim any shape.
    if math.prod(shape) != len(numbers):
        sizes = " x ".join(map(str, shape)) or "()"
        raise FileError(f"{name} has shape {sizes} = {math.prod(shape)} values, but holds {len(numbers)}")
    return np.asarray(numbers, dtype=np.float32).reshape(shape)


def array_to_blob(array: np.ndarray, *, legacy: bool = False) -> BlobProto:
    """A blob with the numbers of an array.

    Args:
        array: any shape; stored as float32.
        legacy: write the shape as num, channels, height, width; the array then has four axes at most.

    Returns:
        The message, equal to what Caffe itself writes.
    """
    blob = BlobProto()
    if legacy:
        sizes = (1,) * (4 - array.ndim) + array.shape
        for name, size in zip(LEGACY_FIELDS, sizes, strict=True):
            setattr(blob, name, size)
    else:
        blob.shape.dim.extend(array.shape)
    blob.data.extend(np.ascontiguousarray(array, dtype=np.float32).ravel().tolist())
    return blob
