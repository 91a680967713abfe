"""Record values: a Datum with an image, gray or color, raw or encoded, or with votes.

Source: BVLC/caffe src/caffe/util/io.cpp
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import Datum

Encoding = Literal["raw", "png"]


def encode_datum(image: NDArray[np.uint8], label: int, encoding: Encoding = "raw") -> bytes:
    """Return the bytes of a Datum, serialized like Caffe's.

    Args:
        image: (H, W) uint8 gray, or (C, H, W) uint8; color channels in the order blue, green, red.
        label: Class number.
        encoding: "raw" pixels or lossless "png".
    """
    if encoding == "raw":
        channels, height, width = (1, *image.shape) if image.ndim == 2 else image.shape
        datum = Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label, encoded=False)
    else:
        datum = Datum(data=_encode_png(image), label=label, encoded=True)
    return datum.SerializeToString(deterministic=True)


def encode_votes(votes: Sequence[float], label: int) -> bytes:
    """Return the bytes of a Datum with numbers instead of an image, e.g. FER+ votes."""
    return Datum(label=label, float_data=votes).SerializeToString(deterministic=True)


def decode_datum(value: bytes, location: str) -> tuple[NDArray[np.uint8], int]:
    """Decode a Datum with one image.

    Args:
        value: Serialized Datum, raw or encoded.
        location: Database and key, for messages.

    Returns:
        (C, H, W) uint8 and the label. Color channels are blue, green, red; an alpha channel of an encoded image is
        dropped.

    Raises:
        StoreError: If the bytes are not a Datum with one 8-bit image.
    """
    datum = parse_datum(value, location)
    if datum.encoded:
        return _decode_image(datum.data, location), datum.label
    shape = datum.channels, datum.height, datum.width
    if min(shape) < 1 or math.prod(shape) != len(datum.data):
        held = f"{len(datum.float_data)} numbers" if datum.float_data else f"{len(datum.data)} bytes of data"
        raise StoreError(
            f"{location}: found {format_shape(shape)} with {held}, expected an image with one byte per value; "
            "write the database again"
        )
    return np.frombuffer(datum.data, dtype=np.uint8).reshape(shape), datum.label


def parse_datum(value: bytes, location: str) -> Datum:
    """Parse a serialized Datum.

    Raises:
        StoreError: If the bytes are not a Datum; the message begins with `location`.
    """
    try:
        return Datum.FromString(value)
    except DecodeError:
        raise StoreError(
            f"{location} is not a Datum; the database is damaged or was not written by Caffe's tools"
        ) from None


def _encode_png(image: NDArray[np.uint8]) -> bytes:
    import cv2

    return cv2.imencode(".png", image if image.ndim == 2 else image.transpose(1, 2, 0))[1].tobytes()


def _decode_image(data: bytes, location: str) -> NDArray[np.uint8]:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8:
        raise StoreError(f"{location} has an encoded image that is damaged or not of 8 bits; write the database again")
    planes = image[None] if image.ndim == 2 else image[:, :, :3].transpose(2, 0, 1)
    return np.ascontiguousarray(planes, dtype=np.uint8)
