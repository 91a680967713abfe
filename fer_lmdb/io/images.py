"""Image files: read common formats as uint8 RGB, write atomically.

Pillow instead of OpenCV: it has the size before decoding (so decompression bombs are rejected at no cost), reports
truncated files instead of returning a half-gray image, and supports palettes, CMYK, alpha and 16 bit. Both use
libjpeg-turbo and are equally fast.
"""

from __future__ import annotations

import os
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.io.file_names import printable_path as printable_path
from fer_lmdb.io.marks import image_options
from fer_lmdb.runtime.logging import silenced

MAX_PIXELS = 100_000_000
"""Maximum number of pixels, checked before decoding; as RGB this is 300 MB."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".jp2", ".bmp", ".dib", ".gif"}
    | {".tif", ".tiff", ".tga", ".ico", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Lower-case extensions of images in a folder. The format of a file is determined by its content."""

# Excluded on purpose: formats that are programs or containers (EPS, WMF, PSD, PDF) and would run other software.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA")
WRITABLE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"])
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


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image file as RGB.

    Alpha is blended with white, gray is repeated, 16 bit and floating point are scaled to 0-255, and the EXIF
    orientation is applied. Of an animation the first frame is read.

    Args:
        path: Path of the file; the format is determined by the content, not by the extension.
        max_pixels: Maximum width x height, checked before decoding.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.

    Raises:
        ImageError: If the file is missing, not an image, damaged, truncated or too large.
    """
    name = printable_path(path)
    _check_is_file(Path(path), name)
    try:
        with Path(path).open("rb") as stream:
            return _decode(stream, name, max_pixels)
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror or error}") from error


def decode_image(data: bytes, name: str = "image", *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of an image file; see `read_image`.

    Args:
        data: Content of the file.
        name: Name for error messages.
        max_pixels: Maximum width x height, checked before decoding.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.

    Raises:
        ImageError: If the data is not an image, damaged, truncated or too large.
    """
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes); expected an image")
    return _decode(BytesIO(data), name, max_pixels)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write an image file atomically, with this program's mark where the format has a place for it.

    Args:
        path: Target, e.g. `out/face.png`; the extension determines the format. Its folder is created.
        image: (H, W, 3) RGB or (H, W) gray, uint8, 0-255.

    Raises:
        ImageError: If the extension is unknown or the file cannot be written.
    """
    path, name = Path(path), printable_path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        known = " ".join(sorted(WRITABLE_SUFFIXES))
        raise ImageError(f'{name}: cannot write an image with the extension "{path.suffix}"; use one of {known}')
    options = image_options(path.suffix)
    if path.suffix.lower() in {".jpg", ".jpeg", ".webp"}:
        options["quality"] = 92
    Image.init()
    encoded = BytesIO()
    Image.fromarray(image).save(encoded, format=Image.EXTENSION[path.suffix.lower()], **options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, sync=False) as partial:
            partial.write_bytes(encoded.getvalue())
    except OSError as error:
        raise ImageError(f"{name}: cannot be written: {error.strerror or error}") from error


def _check_is_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise ImageError(f"{name}: {reason}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name}: is a folder; expected an image")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{name}: is not a regular file; expected an image")
    if status.st_size == 0:
        raise ImageError(f"{name}: is empty (0 bytes); expected an image")


def _decode(stream: Any, name: str, max_pixels: int) -> np.ndarray:
    with silenced(modules=r"PIL\."):  # Pillow warns about sizes, which are checked here, and about odd metadata
        try:
            with Image.open(stream, formats=_FORMATS) as image:
                _check_size(image.size, name, max_pixels)
                return _to_rgb(_apply_orientation(image))
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{name}: is not an image: {_detect_format(stream)}") from None
        except Image.DecompressionBombError:
            limit = max_pixels / 1e6
            raise ImageError(f"{name}: is larger than the limit of {limit:g} million pixels; reduce it first") from None
        except Exception as error:  # decoders raise many types of errors on damaged files
            raise ImageError(f"{name}: is damaged: {one_line(error)}") from error


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
        gray = _scale_to_bytes(np.asarray(image), image.mode)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _scale_to_bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Scale (H, W) gray of 16 or 32 bit to uint8; the range of floating point is 0-1, or 0-255 if a value exceeds 1."""
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    largest = values.max()
    if mode == "F":
        full = 1.0 if largest <= 1 else 255.0 if largest <= 255 else largest
    else:
        full = 65535.0 if largest <= 65535 else largest
    return np.clip(np.round(values * (255.0 / full)), 0, 255).astype(np.uint8)


def _detect_format(stream: Any) -> str:
    stream.seek(0)
    head = stream.read(64)
    if head[4:8] == b"ftyp" and head[8:12] in {b"heic", b"heix", b"mif1", b"hevc", b"msf1"}:
        return "HEIC is not supported; convert it to JPEG first"
    if head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3" or head[8:12] == b"AVI ":
        return "found a video"
    if head.lstrip()[:5].lower() in {b"<!doc", b"<html"}:
        return "found a web page"
    if head.lstrip()[:4].lower() in {b"<svg", b"<?xm"}:
        return "SVG is not supported; convert it to PNG first"
    return "unknown format, expected JPEG, PNG, WebP, BMP, TIFF, GIF, ..."
