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

import numpy as np
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.io.file_names import printable_path as printable_path
from fer_lmdb.io.heif import HEIF_SUFFIXES
from fer_lmdb.io.marks import image_options
from fer_lmdb.io.pillow import decode_stream

MAX_PIXELS = 100_000_000
"""Maximum number of pixels, checked before decoding; as RGB this is 300 MB."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".jp2", ".bmp", ".dib", ".gif"}
    | {".tif", ".tiff", ".tga", ".ico", ".ppm", ".pgm", ".pbm", ".pnm", ".apng"}
    | HEIF_SUFFIXES
)
"""Lower-case extensions of images in a folder. The format of a file is determined by its content."""

WRITABLE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"])


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
            return decode_stream(stream, name, max_pixels)
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
    return decode_stream(BytesIO(data), name, max_pixels)


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


def reason_of(error: Exception) -> str:
    """Return the reason of an error of the system without its number and file name."""
    return str(getattr(error, "strerror", None) or error)


def _check_is_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {reason_of(error)}"
        raise ImageError(f"{name}: {reason}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name}: is a folder; expected an image")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{name}: is not a regular file; expected an image")
    if status.st_size == 0:
        raise ImageError(f"{name}: is empty (0 bytes); expected an image")
