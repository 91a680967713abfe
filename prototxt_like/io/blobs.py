"""BlobProto and numpy arrays: one holds the other's numbers, bit for bit."""

from __future__ import annotations

import math

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.limits import MAX_AXES, format_shape
from prototxt_like.schema.caffe_schema_pb2 import BlobProto

_DATA, _DOUBLE_DATA, _LENGTH_DELIMITED = 5, 8, 2
LEGACY_FIELDS = ("num", "channels", "height", "width")


def blob_shape(blob: BlobProto) -> tuple[int, ...]:
    """Shape of a blob; a file older than BlobShape always has four axes.

    Raises:
        FileError: a negative size, or more axes than Caffe's blobs have.
    """
    if len(blob.shape.dim) > MAX_AXES:
        raise FileError(f"a blob with {len(blob.shape.dim)} axes; Caffe's have {MAX_AXES} at most")
    shape = tuple(getattr(blob, name) for name in LEGACY_FIELDS) if is_legacy(blob) else tuple(blob.shape.dim)
    if any(size < 0 for size in shape):
        raise FileError(f"a blob has the shape {shape}; no size may be negative")
    return shape


def is_legacy(blob: BlobProto) -> bool:
    """Whether the shape is written as num, channels, height, width."""
    return any(blob.HasField(name) for name in LEGACY_FIELDS)


def check_blob(blob: BlobProto, name: str = "blob") -> None:
    """Refuse a blob whose count of numbers does not fit its shape: a file of a few bytes may claim any shape.

    Raises:
        FileError: the count does not fit, or a size is negative.
    """
    shape = blob_shape(blob)
    count = len(blob.double_data) or len(blob.data)
    if math.prod(shape) != count:
        raise FileError(f"{name} has shape {format_shape(shape)} = {math.prod(shape)} values, but holds {count}")


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
    check_blob(blob, name)  # before any array is made
    field = "double_data" if len(blob.double_data) else "data"
    number, kind = (_DOUBLE_DATA, "<f8") if field == "double_data" else (_DATA, "<f4")
    blob.DiscardUnknownFields()  # what is left has one of two wire types
    wire = blob.SerializeToString()
    start, end = _packed_field(wire, number)
    numbers = np.frombuffer(wire, kind, (end - start) // np.dtype(kind).itemsize, start)
    return numbers.astype(np.float32).reshape(blob_shape(blob))


def array_to_blob(array: np.ndarray, *, legacy: bool = False) -> BlobProto:
    """A blob with the numbers of an array.

    Args:
        array: any shape; stored as float32.
        legacy: write the shape as num, channels, height, width; the array then has four axes at most.

    Returns:
        The message, equal to what Caffe itself writes.
    """
    numbers = np.ascontiguousarray(array, dtype="<f4").tobytes()
    blob = BlobProto.FromString(bytes([_DATA << 3 | _LENGTH_DELIMITED]) + _varint(len(numbers)) + numbers)
    if legacy:
        sizes = (1,) * (4 - array.ndim) + array.shape
        for name, size in zip(LEGACY_FIELDS, sizes, strict=True):
            setattr(blob, name, size)
    else:
        blob.shape.dim.extend(array.shape)
    return blob


def _packed_field(wire: bytes, number: int) -> tuple[int, int]:
    """Where the content of a packed field begins and ends in a serialised BlobProto; 0, 0 if it is absent.

    Element by element, as protobuf hands numbers out, VGG16 would take minutes.
    """
    position = 0
    while position < len(wire):
        tag, position = _read_varint(wire, position)
        length, position = _read_varint(wire, position)
        if tag & 7 != _LENGTH_DELIMITED:  # one of the legacy sizes, which is that number itself
            continue
        if tag >> 3 == number:
            return position, position + length
        position += length
    return 0, 0


def _read_varint(wire: bytes, position: int) -> tuple[int, int]:
    """A number written seven bits a byte, the lowest first, and where what follows it begins."""
    number = shift = 0
    while True:
        byte = wire[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position


def _varint(number: int) -> bytes:
    """A number as `_read_varint` reads it."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
