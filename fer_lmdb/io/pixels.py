"""Validation of image arrays passed by Python callers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError, OptionError

ColorOrder = Literal["rgb", "bgr"]
"""Channel order of (H, W, 3) arrays; OpenCV uses "bgr"."""


def to_rgb(image: Any, color: ColorOrder = "rgb") -> NDArray[np.uint8]:
    """Return an image array as RGB; the result is writable, and a copy only if necessary.

    Args:
        image: (H, W, 3) or (H, W) gray, uint8, 0-255.
        color: Channel order of (H, W, 3) arrays.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        TypeError: If `image` is not an array.
        ImageError: If dtype or shape are not supported.
    """
    if not hasattr(image, "__array__"):
        raise TypeError(f"invalid image: found {type(image).__name__}, expected a uint8 array (H, W, 3) or (H, W)")
    array = np.asarray(image)
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or array.size == 0 or not is_image:
        raise ImageError(
            f"invalid image array: found {array.dtype} {array.shape}, "
            "expected uint8 (H, W, 3) in color or (H, W) in gray, 0-255; convert it first"
        )
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if color == "bgr":
        return np.ascontiguousarray(array[:, :, ::-1])
    return array if array.flags.writeable else array.copy()


def from_planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert a stored image, (C, H, W) with blue, green, red, to (H, W, 3) RGB, or (H, W) for one channel."""
    return image[0] if len(image) != 3 else np.ascontiguousarray(image[::-1].transpose(1, 2, 0))


def check_color_order(color: str) -> None:
    """Raise OptionError for an unknown channel order."""
    if color not in ("rgb", "bgr"):
        raise OptionError(f'invalid color: found "{color}", expected "rgb" or "bgr"')
