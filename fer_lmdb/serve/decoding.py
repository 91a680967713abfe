"""Decode uploaded images, rejecting as much as possible before decoding."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.io.images import decode_image
from fer_lmdb.runtime.logging import silenced
from fer_lmdb.serve.http_errors import ApiError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF")
"""Accepted formats: those that browsers and phones send. Fewer than on the command line, because each decoder adds
attack surface, and containers such as ICO and TIFF can hold larger images than their header states."""


def decode_upload(data: bytes, name: str, max_pixels: int) -> np.ndarray:
    """Decode an untrusted image.

    Args:
        data: Contents of the image file.
        name: Name for error messages.
        max_pixels: Maximum width x height, checked in the file header before decoding.

    Returns:
        (H, W, 3) uint8 RGB, 0-255.

    Raises:
        ApiError: If the image is too large (too_large), has an unsupported format (not_a_picture) or cannot be
            decoded (damaged_picture).
    """
    if not data:
        raise ApiError("damaged_picture", f"{name}: the file is empty (0 bytes); send an image")
    width, height = _read_size(data, name)
    if width * height > max_pixels:
        found, limit = f"{width * height / 1e6:.4g}", f"{max_pixels / 1e6:g}"
        raise ApiError(
            "too_large",
            f"{name}: image too large: found {width} x {height}, {found} million pixels; the limit is {limit} million",
        )
    try:
        return decode_image(data, name, max_pixels=max_pixels)
    except ImageError as error:
        raise ApiError("damaged_picture", str(error)) from None


def _read_size(data: bytes, name: str) -> tuple[int, int]:
    """Read width and height from the file header."""
    try:
        with silenced(), Image.open(BytesIO(data), formats=FORMATS) as image:
            return image.size
    except Image.DecompressionBombError:
        raise ApiError("too_large", f"{name}: image too large to decode; reduce it and send it again") from None
    except Image.UnidentifiedImageError:
        raise ApiError(
            "not_a_picture",
            f"{name}: not a supported image; send JPEG, PNG, WebP, AVIF, GIF or BMP "
            "(HEIC, TIFF, SVG and videos are not supported)",
        ) from None
    except Exception as error:  # decoders raise many types on malformed files
        raise ApiError("damaged_picture", f"{name}: damaged image: {one_line(error)}") from None
