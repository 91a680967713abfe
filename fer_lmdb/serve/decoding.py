"""From a request's bytes to pixels, with everything refused that can be refused before decoding."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.images import decode_image
from fer_lmdb.runtime.logging import silenced
from fer_lmdb.serve.http_errors import ApiError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF")
"""What browsers and phones send. Fewer than the command line reads: each decoder is a surface for attacks, and a
container such as ICO or TIFF may hold a larger picture than its head says."""


def decode_upload(data: bytes, name: str, max_pixels: int) -> np.ndarray:
    """Decode a picture that strangers sent.

    Args:
        data: the whole file.
        name: what messages call it.
        max_pixels: width x height beyond which it is refused before anything is decoded.

    Returns:
        (H, W, 3) uint8 RGB, 0-255.

    Raises:
        Refusal: too_large, not_a_picture or damaged_picture.
    """
    if not data:
        raise ApiError("damaged_picture", f"{name}: is empty (0 bytes); send a picture")
    width, height = _size(data, name)
    if width * height > max_pixels:
        found, limit = f"{width * height / 1e6:.4g}", f"{max_pixels / 1e6:g}"
        raise ApiError(
            "too_large", f"{name}: is {width} x {height}, {found} million pixels; the limit is {limit} million"
        )
    try:
        return decode_image(data, name, max_pixels=max_pixels)
    except ImageError as error:
        raise ApiError("damaged_picture", str(error)) from None


def _size(data: bytes, name: str) -> tuple[int, int]:
    """Read width and height from the file's head."""
    try:
        with silenced(), Image.open(BytesIO(data), formats=FORMATS) as image:
            return image.size
    except Image.DecompressionBombError:
        raise ApiError("too_large", f"{name}: has more pixels than anybody can look at; reduce it first") from None
    except Image.UnidentifiedImageError:
        raise ApiError(
            "not_a_picture",
            f"{name}: is no picture that can be read here; send JPEG, PNG, WebP, AVIF, GIF or BMP "
            "(HEIC, TIFF, SVG and videos are not taken)",
        ) from None
    except Exception as error:  # decoders raise whatever they stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ApiError("damaged_picture", f"{name}: is damaged: {reason}") from None
