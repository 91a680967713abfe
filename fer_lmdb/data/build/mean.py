"""Mean image of the training split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl


class MeanAccumulator:
    """Exact sum of uint8 faces.

    Args:
        size: Height and width of the faces.
        channels: 1 for gray, 3 for color.
    """

    def __init__(self, size: int, channels: int = 1) -> None:
        self.total = np.zeros((channels, size, size), dtype=np.int64)
        self.count = 0

    def add(self, face: NDArray[np.uint8]) -> None:
        """Add one face, (channels, size, size) or (size, size) uint8."""
        self.total += face
        self.count += 1

    def write(self, path: Path) -> None:
        """Write the mean image as a binaryproto, rounded like Caffe's compute_image_mean."""
        pl.write_mean(self.total.astype(np.float32) / np.float32(self.count), path)
