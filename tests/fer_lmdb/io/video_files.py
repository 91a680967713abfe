"""Video files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fer_lmdb.io.video_writer import VideoWriter


def image(value: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Return an image with a gray left half of that value and a black right half."""
    image = np.full((height, width, 3), value, np.uint8)
    image[:, width // 2 :] = 0
    return image


def write(path: Path, count: int = 30, times: list[float] | None = None, **size: int) -> Path:
    with VideoWriter(path, 25) as video:
        for index in range(count):
            video.add(image(40 + 5 * index % 200, **size), times[index] if times else index / 25)
    return path
