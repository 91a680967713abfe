"""What every face detector takes and gives."""

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
    """One face found in a picture.

    Attributes:
        box: (4,) float32: x, y of the top left corner, width, height, in pixels.
        score: how sure the detector is; 0 to 1 where it gives a probability.
        landmarks: (K, 2) float32 x, y in pixels, or None. K is 5 (left eye, right eye, nose, left and right corner
            of the mouth; left as seen in the picture) or 68 (the iBUG order).
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The face as plain numbers for JSON, pixels to a hundredth."""
        landmarks = None if self.landmarks is None else _rounded(self.landmarks, 2)
        return {"box": _rounded(self.box, 2), "score": round(float(self.score), 5), "landmarks": landmarks}


class Detector(Protocol):
    """Finds faces in pictures."""

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find the faces in every picture.

        Args:
            images: uint8 RGB (H, W, 3), range 0-255; sizes may differ. Grey (H, W) and RGBA (H, W, 4) are accepted.

        Returns:
            For every picture its faces, best score first; an empty list where there is none.

        Raises:
            DetectorError: something in `images` is not such a picture.
        """
        ...


def as_rgb(image: Image, position: int = 0) -> Image:
    """Return the picture as uint8 (H, W, 3) without copying where it is that already.

    Args:
        image: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); an alpha channel is left out.
        position: index of the picture in its list, for the message.

    Raises:
        DetectorError: another type or shape, or no pixels at all.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, "dtype", type(image).__name__)
        raise DetectorError(f"picture {position} is {found}; a detector takes numpy arrays of uint8 (H, W, 3) RGB")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.size == 0:
        raise DetectorError(f"picture {position} has shape {image.shape}; a detector takes (H, W, 3) RGB pixels")
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image[:, :, :3]


def _rounded(values: NDArray[np.float32], digits: int) -> Any:
    return np.asarray(values, np.float64).round(digits).tolist()
