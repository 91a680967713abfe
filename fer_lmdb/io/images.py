"""Read and write one picture file: every common format becomes RGB, uint8.

Pillow rather than OpenCV: it tells the size before anything is decoded (so a decompression bomb is refused
without cost), says when a file is truncated instead of returning a half-grey picture, and knows palettes, CMYK,
alpha and 16 bit. Both use libjpeg-turbo, so neither is faster where it matters.
"""

from __future__ import annotations

import os
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fer_lmdb.errors import ImageError
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.runtime.logging import silenced

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before decoding: as RGB this is 300 MB."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".jp2", ".bmp", ".dib", ".gif"}
    | {".tif", ".tiff", ".tga", ".ico", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Lower-case endings by which a folder is searched; what a file really holds is decided by its content."""

# Left out on purpose: formats that are programs or containers (EPS, WMF, PSD, PDF) and would run other software.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA")
WRITABLE_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"])
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a picture file, upright and in colour.

    Alpha is blended on white, grey is repeated, 16 bit and floating point are scaled to 0-255, EXIF rotation is
    applied, of an animation the first frame is taken.

    Args:
        path: the file; its content decides the format, not its ending.
        max_pixels: width x height beyond which a picture is refused before it is decoded.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.

    Raises:
        ImageError: the file is missing, no picture, damaged, truncated or too large.
    """
    name = printable_path(path)
    _check_is_file(Path(path), name)
    try:
        with Path(path).open("rb") as stream:
            return _decode(stream, name, max_pixels)
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror or error}") from error


def decode_image(data: bytes, name: str = "picture", *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the bytes of a picture file as `read_image` does.

    Args:
        data: the whole file.
        name: what error messages call it.
        max_pixels: width x height beyond which a picture is refused before it is decoded.

    Returns:
        (H, W, 3) uint8 RGB, 0-255, writable.

    Raises:
        ImageError: it is no picture, damaged, truncated or too large.
    """
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes); expected a picture")
    return _decode(BytesIO(data), name, max_pixels)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a picture whole or not at all; the ending of the name decides the format, folders are made.

    Args:
        path: the file, for example `out/face.png`.
        image: (H, W, 3) uint8 RGB or (H, W) uint8 grey, 0-255.

    Raises:
        ImageError: the ending is unknown or the file cannot be written.
    """
    path, name = Path(path), printable_path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        known = " ".join(sorted(WRITABLE_SUFFIXES))
        raise ImageError(f'{name}: cannot write a picture with the ending "{path.suffix}"; use one of {known}')
    options: dict[str, Any] = {"quality": 92} if path.suffix.lower() in {".jpg", ".jpeg", ".webp"} else {}
    Image.init()
    encoded = BytesIO()
    Image.fromarray(image).save(encoded, format=Image.EXTENSION[path.suffix.lower()], **options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, sync=False) as partial:
            partial.write_bytes(encoded.getvalue())
    except OSError as error:
        raise ImageError(f"{name}: cannot be written: {error.strerror or error}") from error


def printable_path(path: str | os.PathLike[str]) -> str:
    """Return a file name as one line that any terminal can show, whatever bytes it holds."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _check_is_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise ImageError(f"{name}: {reason}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name}: is a folder; expected a picture")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{name}: is no ordinary file; expected a picture")
    if status.st_size == 0:
        raise ImageError(f"{name}: is empty (0 bytes); expected a picture")


def _decode(stream: Any, name: str, max_pixels: int) -> np.ndarray:
    with silenced(modules=r"PIL\."):  # Pillow warns about sizes, which are checked here, and about odd metadata
        try:
            with Image.open(stream, formats=_FORMATS) as image:
                _check_size(image.size, name, max_pixels)
                return _to_rgb(_upright(image))
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError(f"{name}: is not a picture: {_detect_format(stream)}") from None
        except Image.DecompressionBombError:
            limit = max_pixels / 1e6
            raise ImageError(f"{name}: is larger than the limit of {limit:g} million pixels; reduce it first") from None
        except Exception as error:  # on damaged files decoders raise whatever they stumble over
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{name}: is damaged: {reason}") from error


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        found = f"{width * height / 1e6:.4g} million pixels"
        limit = f"{max_pixels / 1e6:g} million"
        raise ImageError(f"{name}: is {width} x {height}, {found}; the limit is {limit}, reduce it first")
    if width * height == 0:
        raise ImageError(f"{name}: is {width} x {height}; expected at least one pixel")


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # TIFF turns itself here, and then no longer names an orientation
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged metadata does not make the pixels worse
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        gray = _scale_to_bytes(np.asarray(image), image.mode)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _scale_to_bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Bring (H, W) grey of 16 or 32 bit to uint8; floating point counts as 0-1, or 0-255 where it goes beyond 1."""
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
        return "it is HEIC, which cannot be read; convert it to JPEG first"
    if head[4:8] == b"ftyp" or head[:4] == b"\x1aE\xdf\xa3" or head[8:12] == b"AVI ":
        return "it is a video"
    if head.lstrip()[:5].lower() in {b"<!doc", b"<html"}:
        return "it is a web page"
    if head.lstrip()[:4].lower() in {b"<svg", b"<?xm"}:
        return "it is SVG or XML, which cannot be read; convert it to PNG first"
    return "its content is none of the formats that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF, ...)"
