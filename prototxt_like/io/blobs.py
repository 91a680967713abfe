"""Bit-exact conversion between BlobProto and numpy arrays."""

from __future__ import annotations

import math

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.limits import MAX_AXES, format_shape
from prototxt_like.schema.caffe_schema_pb2 import BlobProto

_DATA, _DOUBLE_DATA, _LENGTH_DELIMITED = 5, 8, 2
_RAW_TYPES = ("<f8", "<f4", "<f2", "<i4", "<u4")  # in the order of BlobProto.RawType
LEGACY_FIELDS = ("num", "channels", "height", "width")


def blob_shape(blob: BlobProto) -> tuple[int, ...]:
    """Return the shape of a blob. Files older than BlobShape always have four axes.

    Raises:
        FileError: If a size is negative, or there are more than 32 axes.
    """
    if len(blob.shape.dim) > MAX_AXES:
        raise FileError(f"a blob has too many axes: found {len(blob.shape.dim)}, expected at most {MAX_AXES}")
    shape = tuple(getattr(blob, name) for name in LEGACY_FIELDS) if is_legacy(blob) else tuple(blob.shape.dim)
    if any(size < 0 for size in shape):
        raise FileError(f"a blob has a negative size: found shape {shape}, expected sizes of 0 or more")
    return shape


def is_legacy(blob: BlobProto) -> bool:
    """Return whether the shape is written as num, channels, height, width."""
    return any(blob.HasField(name) for name in LEGACY_FIELDS)


def check_blob(blob: BlobProto, name: str = "blob") -> None:
    """Reject a blob whose number of values contradicts its shape. A file of a few bytes can declare any shape.

    Args:
        blob: BlobProto to check.
        name: Name for error messages.

    Raises:
        FileError: If the number of values contradicts the shape, or a size is negative.
    """
    shape = blob_shape(blob)
    count = len(blob.double_data) or len(blob.data) or _raw_count(blob, name)
    if math.prod(shape) != count:
        raise FileError(
            f"{name} has the wrong number of values: found {count}, "
            f"expected {math.prod(shape)} for shape {format_shape(shape)}"
        )


def blob_to_array(blob: BlobProto, name: str = "blob") -> np.ndarray:
    """Convert a blob to an array.

    Args:
        blob: BlobProto to convert.
        name: Name for error messages.

    Returns:
        float32 array in the blob's shape. ``double_data`` is rounded to float32, as in Caffe. NVCaffe's ``raw_data``
        of any type is converted.

    Raises:
        FileError: If the number of values contradicts the shape.
    """
    check_blob(blob, name)  # before memory is allocated
    if blob.raw_data and not (blob.data or blob.double_data):
        raw = np.frombuffer(blob.raw_data, _RAW_TYPES[blob.raw_data_type])
        return raw.astype(np.float32).reshape(blob_shape(blob))
    field = "double_data" if len(blob.double_data) else "data"
    number, kind = (_DOUBLE_DATA, "<f8") if field == "double_data" else (_DATA, "<f4")
    blob.DiscardUnknownFields()  # the remaining fields have one of two wire types
    wire = blob.SerializeToString()
    start, end = _packed_field(wire, number)
    numbers = np.frombuffer(wire, kind, (end - start) // np.dtype(kind).itemsize, start)
    return numbers.astype(np.float32).reshape(blob_shape(blob))


def array_to_blob(array: np.ndarray, *, legacy: bool = False) -> BlobProto:
    """Convert an array to a blob.

    Args:
        array: Array of any shape; stored as float32.
        legacy: Whether to write the shape as num, channels, height, width. Requires at most four axes.

    Returns:
        BlobProto, byte-identical to Caffe's.
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


def _raw_count(blob: BlobProto, name: str) -> int:
    """Return the number of values in NVCaffe's ``raw_data``."""
    size = np.dtype(_RAW_TYPES[blob.raw_data_type]).itemsize
    if len(blob.raw_data) % size:
        raise FileError(
            f"{name} is damaged: found {len(blob.raw_data)} bytes in NVCaffe's raw_data, expected a multiple of {size}"
        )
    return len(blob.raw_data) // size


def _packed_field(wire: bytes, number: int) -> tuple[int, int]:
    """Return start and end of a packed field in a serialized BlobProto, or (0, 0) if absent.

    Reading VGG16 element by element through protobuf's Python API would take minutes.
    """
    position = 0
    while position < len(wire):
        tag, position = _read_varint(wire, position)
        length, position = _read_varint(wire, position)
        if tag & 7 != _LENGTH_DELIMITED:  # a legacy size, which is stored in place of the length
            continue
        if tag >> 3 == number:
            return position, position + length
        position += length
    return 0, 0


def _read_varint(wire: bytes, position: int) -> tuple[int, int]:
    """Decode a little-endian base-128 varint; return the number and the position after it."""
    number = shift = 0
    while True:
        byte = wire[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position


def _varint(number: int) -> bytes:
    """Encode a number as a varint."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
