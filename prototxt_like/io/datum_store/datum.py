"""Record values: a Datum with a gray image, raw or encoded, or with votes.

Source: BVLC/caffe src/caffe/util/io.cpp
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.schema.caffe_schema_pb2 import Datum

Encoding = Literal["raw", "png"]


def encode_datum(image: NDArray[np.uint8], label: int, encoding: Encoding = "raw") -> bytes:
    """Return the bytes of a Datum, serialized like Caffe's.

    Args:
        image: (H, W) uint8, gray.
        label: Class number.
        encoding: "raw" pixels or lossless "png".
    """
    if encoding == "raw":
        height, width = image.shape
        datum = Datum(channels=1, height=height, width=width, data=image.tobytes(), label=label, encoded=False)
    else:
        datum = Datum(data=_encode_png(image), label=label, encoded=True)
    return datum.SerializeToString(deterministic=True)


def encode_votes(votes: Sequence[float], label: int) -> bytes:
    """Return the bytes of a Datum with numbers instead of an image, e.g. FER+ votes."""
    return Datum(label=label, float_data=votes).SerializeToString(deterministic=True)


def decode_datum(value: bytes, location: str) -> tuple[NDArray[np.uint8], int]:
    """Decode a Datum with one gray image.

    Args:
        value: Serialized Datum, raw or encoded, with one channel.
        location: Database and key, for messages.

    Returns:
        (H, W) uint8 and the label.

    Raises:
        StoreError: If the bytes are not a Datum with one gray image.
    """
    datum = parse_datum(value, location)
    if datum.encoded:
        return _decode_image(datum.data, location), datum.label
    sizes_fit = datum.channels == 1 and min(datum.height, datum.width) > 0
    sizes_fit = sizes_fit and datum.height * datum.width == len(datum.data)
    if not sizes_fit:
        raise StoreError(
            f"{location}: found {datum.channels} x {datum.height} x {datum.width} with {len(datum.data)} bytes of data,"
            " expected one gray channel; write the database again"
        )
    return np.frombuffer(datum.data, dtype=np.uint8).reshape(datum.height, datum.width), datum.label


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

    return cv2.imencode(".png", image)[1].tobytes()


def _decode_image(data: bytes, location: str) -> NDArray[np.uint8]:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.ndim != 2 or image.dtype != np.uint8:
        raise StoreError(f"{location} has an encoded image that is damaged or not 8-bit gray; write the database again")
    return np.asarray(image, dtype=np.uint8)
