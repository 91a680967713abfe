"""Detector protocol, detected faces and image checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DetectorError

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Face:
    """Face detected in an image.

    Attributes:
        box: (4,) float32 x, y of the top left corner, width, height, in pixels.
        score: Confidence of the detector; 0 to 1 if it is a probability.
        landmarks: (K, 2) float32 x, y in pixels, or None. K is 5 (left eye, right eye, nose, left and right corner
            of the mouth; left as seen in the image) or 68 (the iBUG order).
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the face as plain numbers for JSON, with pixels rounded to two decimals."""
        landmarks = None if self.landmarks is None else _rounded(self.landmarks, 2)
        return {"box": _rounded(self.box, 2), "score": round(float(self.score), 5), "landmarks": landmarks}


class Detector(Protocol):
    """Face detector."""

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Detect the faces in each image.

        Args:
            images: RGB (H, W, 3), uint8, 0-255; sizes may differ. Gray (H, W) and RGBA (H, W, 4) are accepted.

        Returns:
            A list of faces per image, highest score first.

        Raises:
            DetectorError: If an image has another type or shape.
        """
        ...


def as_rgb(image: Image, position: int = 0) -> Image:
    """Return the image as (H, W, 3) uint8, without a copy if it is one already.

    Args:
        image: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); the alpha channel is ignored.
        position: Index of the image in its list, for the error message.

    Raises:
        DetectorError: If the image has another type or shape, or no pixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, "dtype", type(image).__name__)
        raise DetectorError(f"image {position} has an unsupported type: found {found}, expected uint8 (H, W, 3) RGB")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise DetectorError(f"image {position} has an unsupported shape: found {image.shape}, expected (H, W, 3) RGB")
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image[:, :, :3]


def _rounded(values: NDArray[np.float32], digits: int) -> Any:
    return np.asarray(values, np.float64).round(digits).tolist()
