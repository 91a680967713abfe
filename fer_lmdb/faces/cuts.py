"""Cuts between the shots of a video, told apart from pans, zooms, fades and flashes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.uint8]

THRESHOLD = 0.8
"""Two frames show the same shot if a third of their blocks have at least this correlation."""
FLASH_S = 0.4
"""Longest interruption in seconds, e.g. by a photographer's flash, after which a shot continues."""
_WIDTH = 96
"""Width of the thumbnails in pixels."""
_COLUMNS, _ROWS = 4, 3
_QUANTILE = 2 / 3
"""A third of the blocks that agree suffice: people enter and leave, a cut changes almost all blocks."""
_SEARCH = 8
"""Motion between two frames that is followed, in pixels of the thumbnail."""
_FLAT = 2.5
"""Standard deviation of gray values below which a block shows nothing that can be compared."""


@dataclass(frozen=True, eq=False)
class _Recent:
    time_s: float
    thumbnail: Thumbnail
    shot: int


class CutDetector:
    """Number the shots of a video.

    Args:
        threshold: Minimum correlation of the same shot, 0 to 1.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self._recent: deque[_Recent] = deque()
        self._shots = 0

    def update(self, image: NDArray[np.uint8], time_s: float) -> int:
        """Compare the next frame with the one before and, if it differs, with those of the last `FLASH_S` seconds.

        Args:
            image: (H, W, 3) or (H, W) uint8.
            time_s: Presentation time of the frame in seconds.

        Returns:
            Number of the shot; the same as before if it continues after a flash.
        """
        small = thumbnail(image)
        while len(self._recent) > 1 and time_s - self._recent[0].time_s > FLASH_S:
            self._recent.popleft()
        shot = self._find_shot(small)
        if shot is None:
            shot, self._shots = self._shots, self._shots + 1
        self._recent.append(_Recent(time_s, small, shot))
        return shot

    def _find_shot(self, small: Thumbnail) -> int | None:
        for recent in reversed(self._recent):
            if recent.thumbnail.shape == small.shape and similarity(recent.thumbnail, small) >= self.threshold:
                return recent.shot
        return None


def thumbnail(image: NDArray[np.uint8]) -> Thumbnail:
    """Return a frame as a small gray image."""
    height, width = image.shape[:2]
    rows = max(_ROWS * 4, round(_WIDTH * height / width))
    small = cv2.resize(image, (_WIDTH, min(rows, 4 * _WIDTH)), interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def similarity(one: Thumbnail, other: Thumbnail) -> float:
    """Return the correlation that a third of the blocks of two thumbnails reach, each at its best displacement.

    Correlation does not depend on brightness and contrast, so fades and changes of exposure keep it; the displacement
    follows pans and moving people. Blocks that are flat in both
    thumbnails are ignored.

    Returns:
        -1 to 1; 1 if there is nothing to compare.
    """
    scores = []
    padded = np.pad(other, _SEARCH, mode="edge")
    for rows in np.array_split(np.arange(one.shape[0]), _ROWS):
        for columns in np.array_split(np.arange(one.shape[1]), _COLUMNS):
            top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            block = one[top:bottom, left:right]
            area = padded[top : bottom + 2 * _SEARCH, left : right + 2 * _SEARCH]
            flat, other_flat = block.std() < _FLAT, other[top:bottom, left:right].std() < _FLAT
            if flat and other_flat:
                continue
            scores.append(0.0 if flat or other_flat else _best_correlation(area, block))
    return float(np.quantile(scores, _QUANTILE)) if scores else 1.0


def _best_correlation(area: Thumbnail, block: Thumbnail) -> float:
    found = cv2.matchTemplate(area, block, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(found, posinf=0.0, neginf=0.0).clip(-1, 1).max())
