"""BlobProto and numpy arrays: one holds the other's numbers, bit for bit."""

from __future__ import annotations

import math

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.schema.caffe_schema_pb2 import BlobProto

_DATA_TAG = b"\x2a"  # field 5, length-delimited
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
    field = "double_data" if len(blob.double_data) else "data"
    count = len(getattr(blob, field))
    # The check comes before any array is made: a file of a few bytes may claim any shape.
    if math.prod(shape) != count:
        sizes = " x ".join(map(str, shape)) or "()"
        raise FileError(f"{name} has shape {sizes} = {math.prod(shape)} values, but holds {count}")
    return _numbers(blob, field, count).reshape(shape)


def array_to_blob(array: np.ndarray, *, legacy: bool = False) -> BlobProto:
    """A blob with the numbers of an array.

    Args:
        array: any shape; stored as float32.
        legacy: write the shape as num, channels, height, width; the array then has four axes at most.

    Returns:
        The message, equal to what Caffe itself writes.
    """
    numbers = np.ascontiguousarray(array, dtype="<f4").tobytes()
    # Through the wire format, not by `extend`: element by element, VGG16 would take minutes.
    blob = BlobProto.FromString(_DATA_TAG + _varint(len(numbers)) + numbers)
    if legacy:
        sizes = (1,) * (4 - array.ndim) + array.shape
        for name, size in zip(LEGACY_FIELDS, sizes, strict=True):
            setattr(blob, name, size)
    else:
        blob.shape.dim.extend(array.shape)
    return blob


def _numbers(blob: BlobProto, field: str, count: int) -> np.ndarray:
    """All numbers of a packed field, in float32: the end of the field's wire format is the array itself."""
    alone = BlobProto()
    alone.CopyFrom(blob)
    for other, _ in blob.ListFields():
        if other.name != field:
            alone.ClearField(other.name)
    alone.DiscardUnknownFields()
    kind = np.dtype("<f8" if field == "double_data" else "<f4")
    wire = bytearray(alone.SerializeToString())
    return np.frombuffer(wire, kind, count, len(wire) - count * kind.itemsize).astype(np.float32, copy=False)


def _varint(number: int) -> bytes:
    """A length as protobuf writes it: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
