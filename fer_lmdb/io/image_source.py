"""Images in every form that Python callers have: paths, bytes, file objects, Pillow images and arrays."""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.io.images import decode_image, read_image
from fer_lmdb.io.pillow import pil_to_rgb
from fer_lmdb.io.pixels import ColorOrder, to_rgb
from fer_lmdb.runtime.logging import silenced

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[np.uint8]
"""Path; content of an image file; open binary file; Pillow image; (H, W, 3) or (H, W) uint8 array, 0-255."""


def load_image(source: ImageSource, color: ColorOrder = "rgb") -> NDArray[np.uint8]:
    """Return an image as an array; a Pillow image gives the same pixels as its file.

    Args:
        source: Image in one of the forms of `ImageSource`.
        color: Channel order of (H, W, 3) arrays.

    Returns:
        (H, W, 3) uint8 RGB, writable; a copy only if necessary.

    Raises:
        TypeError: If `source` has another type.
        ImageError: If a file cannot be read, or dtype or shape of an array are not supported.
    """
    if isinstance(source, str | os.PathLike):
        return read_image(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode_image(bytes(source))
    if isinstance(source, Image.Image):
        return _convert(source)
    if hasattr(source, "read"):
        return decode_image(_content(source), str(getattr(source, "name", "image")))
    if not hasattr(source, "__array__"):
        raise TypeError(
            f"invalid image: found {type(source).__name__}, expected a path, bytes, a binary file, a Pillow image "
            "or a uint8 array (H, W, 3) or (H, W)"
        )
    return to_rgb(source, color)


def is_one_image(source: Any) -> bool:
    """Return whether a value is one image and not a sequence of images."""
    if isinstance(source, np.ndarray):
        return source.ndim <= 2 or (source.ndim == 3 and source.shape[2] == 3)
    is_file = isinstance(source, str | bytes | bytearray | memoryview | os.PathLike) or hasattr(source, "read")
    return is_file or isinstance(source, Image.Image)


def check_is_sequence(images: Any, function: str) -> None:
    """Raise TypeError if `images` is a single image or not iterable.

    Args:
        images: Argument of `function`.
        function: Name of the function for the message.
    """
    if isinstance(images, np.ndarray) and is_one_image(images):
        found = f"one array of shape {images.shape}; pass [image]"
    elif is_one_image(images):
        found = f"one {type(images).__name__}; pass [image]"
    elif not hasattr(images, "__iter__"):
        found = type(images).__name__
    else:
        return
    raise TypeError(f"{function} expects a sequence of images: found {found}")


def _convert(image: Image.Image) -> NDArray[np.uint8]:
    try:
        with silenced(modules=r"PIL\."):
            return pil_to_rgb(image)
    except Exception as error:  # its file may be damaged or closed; decoders raise many types
        raise ImageError(f"invalid Pillow image: {one_line(error)}") from error


def _content(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise TypeError('invalid image: found a file in text mode, expected a binary file; open it with "rb"')
    return content
