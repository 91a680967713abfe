"""ImageData layer: image files of a list with one path and label per line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.image_list import listed_path, read_image_list
from prototxt_like.sources.base import ImageSource

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class ImageListSource(ImageSource):
    """Source of an ImageData layer.

    Args:
        layer: ImageData layer whose ``source`` is an existing list.
        phase: "TRAIN" or "TEST".
        generator: Random numbers of the transform, of ``shuffle`` and of ``rand_skip``.

    Raises:
        FileError: If the list or its first image cannot be read.
    Source: BVLC/caffe src/caffe/layers/image_data_layer.cpp
    """

    def __init__(self, layer: LayerParameter, phase: str, generator: torch.Generator) -> None:
        super().__init__(layer, phase, layer.image_data_param.batch_size, generator)
        options = layer.image_data_param
        self._lines = read_image_list(options.source)
        self._root = options.root_folder
        self._size = (options.new_height, options.new_width)
        self._is_color, self._is_shuffled = options.is_color, options.shuffle
        if bool(options.new_height) != bool(options.new_width):
            raise self.fail("set new_height and new_width, or none of them")
        if options.rand_skip > len(self._lines):
            raise self.fail(
                f"invalid rand_skip: found {options.rand_skip}, expected at most {len(self._lines)}, the images of the "
                "list; reduce it"
            )
        self._shuffle()
        glog.info("image_data_layer.cpp:66", f"A total of {len(self._lines)} images.")
        self._position = self._draw_skip(options.rand_skip)
        self.set_shapes(self._read(self._position)[0])

    def _draw_skip(self, rand_skip: int) -> int:
        """Return the number of images to skip before the first batch: random, below ``rand_skip``; logged."""
        if not rand_skip:
            return 0
        skip = int(torch.randint(rand_skip, (), generator=self.generator))
        glog.info("image_data_layer.cpp:72", f"Skipping first {skip} data points.")
        return skip

    def next_image(self) -> tuple[np.ndarray, int]:
        """Return the next image and its label; after the last line, shuffle if required and start again."""
        image = self._read(self._position)
        self._position += 1
        if self._position == len(self._lines):
            self._position = 0
            self._shuffle()
        return image

    def _read(self, position: int) -> tuple[np.ndarray, int]:
        entry = self._lines[position]
        return read_image(listed_path(self._root, entry.path), self._size, is_color=self._is_color), entry.label

    def _shuffle(self) -> None:
        if self._is_shuffled:
            order = torch.randperm(len(self._lines), generator=self.generator)
            self._lines = [self._lines[index] for index in order.tolist()]


def read_image(path: str, size: tuple[int, int] = (0, 0), *, is_color: bool = True) -> np.ndarray:
    """Read an image file as Caffe's ReadImageToCVMat.

    Args:
        path: Path of the image.
        size: Height and width to resize to; 0 = original size.
        is_color: Whether to read blue, green and red, or gray.

    Returns:
        (C, H, W) uint8.

    Raises:
        FileError: If the file cannot be read or decoded.
    """
    import cv2

    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    image = cv2.imdecode(content, cv2.IMREAD_COLOR if is_color else cv2.IMREAD_GRAYSCALE) if content.size else None
    if image is None:
        raise FileError(f"{path}: not an image")
    if size[0] and size[1]:
        image = cv2.resize(image, (size[1], size[0]))
    array = np.asarray(image)
    return np.ascontiguousarray(array.transpose(2, 0, 1)) if array.ndim == 3 else array[None]
