"""TIFF with more than 8 bits per sample, which Pillow cannot open or reads with wrong values."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BIT_DEPTHS = (8, 10, 12, 14, 15, 16)
"""Bits of the samples that cameras store in 16 bits."""
_NOT_COMPRESSED, _DEFLATE = 1, (8, 32946)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ORIENTATION_TAG = 274
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image.swapaxes(0, 1)[::-1],
}
"""Orientation tag -> function that applies it."""


def read_deep_tiff(stream: Any, check_size: Callable[[tuple[int, int]], None]) -> NDArray[Any] | None:
    """Read the first page of a TIFF with more than 8 bits per sample.

    Args:
        stream: Binary file object at its start; it is there again afterwards.
        check_size: Raises an error if width and height exceed a limit; called before decoding.

    Returns:
        (H, W, C) samples of any dtype, orientation applied: gray or RGB, and alpha if there is one; black is the
        lowest value. None for other files, and for compressions other than deflate, which Pillow has to read.
    """
    head = stream.read(4)
    stream.seek(0)
    if head not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    try:
        page = _first_page(stream)
        if page is None:
            return None
        check_size((page.imagewidth, page.imagelength))
        _check_segments(page, stream)
        return _arrange(page, page.asarray())
    finally:
        stream.seek(0)


def to_bytes(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale samples to 0-255.

    Integers have the smallest number of bits that holds the largest value, 8, 10, 12, 14, 15 or 16, or end at the
    largest value. Floating point ends at 1, at 255, or at the largest value.

    Args:
        samples: (H, W, C) of any dtype: gray or RGB, and alpha, which is blended with white.

    Returns:
        (H, W, 3) uint8 RGB, writable.
    """
    color = samples[:, :, :3] if samples.shape[2] >= 3 else samples[:, :, :1]
    values = np.nan_to_num(color.astype(np.float64), posinf=0.0, neginf=0.0)
    largest = float(values.max())
    known = (1.0, 255.0) if samples.dtype.kind == "f" else tuple(2.0**bits - 1 for bits in _BIT_DEPTHS)
    values *= 255.0 / next((value for value in known if largest <= value), largest)
    if samples.shape[2] in (2, 4):
        alpha = _to_unit_range(samples[:, :, -1:])
        values = alpha * values + 255.0 * (1 - alpha)
    scaled = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return np.repeat(scaled, 3, axis=2) if scaled.shape[2] == 1 else scaled


def _first_page(stream: Any) -> Any:
    """Return the first page; None if it has 8 bits per sample or cannot be read here."""
    from tifffile import TiffFile

    logging.getLogger("tifffile").addFilter(_reject_record)  # what it finds odd is reported as a damaged image
    try:
        page: Any = TiffFile(stream).pages[0]
        return page if _is_supported(page) else None
    except Exception:  # it raises many types on damaged files; Pillow reports what is wrong
        return None


def _reject_record(record: logging.LogRecord) -> bool:
    return False


def _arrange(page: Any, samples: NDArray[Any]) -> NDArray[Any]:
    if page.planarconfig == 2:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    colors = 3 if page.photometric == _RGB else 1
    has_alpha = any(kind in (1, 2) for kind in page.extrasamples[:1])
    samples = samples[:, :, : colors + has_alpha]
    if page.photometric == _WHITE_IS_ZERO:
        samples[:, :, 0] = samples[:, :, 0].max() - samples[:, :, 0]
    tag = page.tags.get(_ORIENTATION_TAG)
    turn = _TURNS.get(tag.value if tag else 1)
    return samples if turn is None else turn(samples)


def _to_unit_range(alpha: NDArray[Any]) -> NDArray[np.float64]:
    full = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    return np.clip(np.nan_to_num(alpha.astype(np.float64)) / full, 0, 1)


def _is_supported(page: Any) -> bool:
    return (
        page.bitspersample > 8
        and page.dtype is not None
        and page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
        and page.compression in (_NOT_COMPRESSED, *_DEFLATE)
        and (page.predictor == 1 or (page.predictor == 2 and page.dtype.kind in "iu"))
        and page.imagedepth == 1
    )


def _check_segments(page: Any, stream: Any) -> None:
    """Raise an error if compressed data is larger than its part of the image, before it is in memory."""
    if page.compression == _NOT_COMPRESSED:
        return
    limit = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample // 8
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        stream.seek(offset)
        decoder = zlib.decompressobj()
        data = decoder.decompress(stream.read(count), limit)
        if decoder.unconsumed_tail and len(data) >= limit:
            raise struct.error(f"a segment expands to more than {limit:,} bytes")
