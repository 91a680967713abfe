"""Pillow images of all formats and modes as uint8 RGB arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.io.heif import HEAD_BYTES, is_heif, register_heif
from fer_lmdb.io.tiff import read_deep_tiff, to_bytes
from fer_lmdb.runtime.logging import silenced

# Excluded on purpose: formats that are programs or containers (EPS, WMF, PSD, PDF) and would run other software.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA")
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_stream(stream: Any, name: str, max_pixels: int) -> np.ndarray:
    """Decode an open image file.

    Args:
        stream: Binary file object at its start, seekable.
        name: Name for error messages.
        max_pixels: Maximum width x height, checked before decoding.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.

    Raises:
        ImageError: If the data is not an image, damaged, truncated or too large.
    """
    with silenced(modules=r"PIL\."):  # Pillow warns about sizes, which are checked here, and about odd metadata
        try:
            samples = read_deep_tiff(stream, lambda size: _check_size(size, name, max_pixels))
            if samples is not None:
                return to_bytes(samples)
            with _open(stream, name) as image:
                _check_size(image.size, name, max_pixels)
                return pil_to_rgb(image)
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{name}: is not an image: {_detect_format(stream)}") from None
        except Image.DecompressionBombError:
            limit = max_pixels / 1e6
            raise ImageError(f"{name}: is larger than the limit of {limit:g} million pixels; reduce it first") from None
        except Exception as error:  # decoders raise many types of errors on damaged files
            raise ImageError(f"{name}: is damaged: {one_line(error)}") from error


def _open(stream: Any, name: str) -> Image.Image:
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if is_heif(head):
        register_heif(name)
        try:
            return Image.open(stream, formats=["HEIF"])
        except UnidentifiedImageError:
            raise ImageError(f"{name}: is damaged: it starts like HEIC, but holds no image") from None
    return Image.open(stream, formats=FORMATS)


def pil_to_rgb(image: Image.Image) -> np.ndarray:
    """Return a Pillow image of any mode as RGB.

    Alpha is blended with white, gray is repeated, 16 bit and floating point are scaled to 0-255, and the EXIF
    orientation is applied.

    Args:
        image: Image; it is not changed, but loaded.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.
    """
    return _to_rgb(_apply_orientation(image))


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        found = f"{width * height / 1e6:.4g} million pixels"
        limit = f"{max_pixels / 1e6:g} million"
        raise ImageError(f"{name}: is {width} x {height}, {found}; the limit is {limit}, reduce it first")
    if width * height == 0:
        raise ImageError(f"{name}: is {width} x {height}; expected at least one pixel")


def _apply_orientation(image: Image.Image) -> Image.Image:
    image.load()  # Pillow rotates TIFF here and removes its orientation
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged metadata does not affect the pixels
        return image
    return image.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else image


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        return to_bytes(np.asarray(image)[:, :, None])
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _detect_format(stream: Any) -> str:
    stream.seek(0)
    head = stream.read(64)
    if head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3" or head[8:12] == b"AVI ":
        return "found a video"
    if head.lstrip()[:5].lower() in {b"<!doc", b"<html"}:
        return "found a web page"
    if head.lstrip()[:4].lower() in {b"<svg", b"<?xm"}:
        return "SVG is not supported; convert it to PNG first"
    return "unknown format, expected JPEG, PNG, WebP, BMP, TIFF, GIF, ..."
