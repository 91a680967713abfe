"""OpenCV's cascade of Haar-like features: quick, for upright frontal faces, without landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Face, Image, as_rgb

CASCADE = "haarcascade_frontalface_default.xml"
MAX_PIXELS = 1 << 24


class Haar:
    """Finds faces with OpenCV's frontal cascade.

    Args:
        min_face: side of the smallest face to find, in pixels.
        threshold: lowest weight of the last stage; not a probability, 0 is every face, 5 a sure one.
        neighbours: how many overlapping finds make a face.

    Raises:
        DetectorError: this OpenCV has no cascades.
    """

    def __init__(self, min_face: float = 20, threshold: float = 0.0, neighbours: int = 3) -> None:
        self.min_face = min_face
        self.threshold = threshold
        self.neighbours = neighbours
        self._cascade = _load()

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Find the faces in every picture; see `Detector.detect`."""
        return [self._detect_one(as_rgb(image, position)) for position, image in enumerate(images)]

    def _detect_one(self, image: Image) -> list[Face]:
        # Very large pictures are searched at a smaller size: the integral images take 30 bytes a pixel.
        scale = min(1.0, (MAX_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
        gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if scale < 1:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        smallest = max(1, round(self.min_face * scale))
        boxes, _, weights = self._cascade.detectMultiScale3(
            gray, minNeighbors=self.neighbours, minSize=(smallest, smallest), outputRejectLevels=True
        )
        scores = np.ravel(weights)
        order = [index for index in np.argsort(-scores, kind="stable") if scores[index] >= self.threshold]
        return [Face((boxes[index] / scale).astype(np.float32), float(scores[index])) for index in order]


def _load() -> Any:
    """Load the cascade that OpenCV carries."""
    path = Path(cv2.data.haarcascades) / CASCADE if hasattr(cv2, "data") else None
    if not hasattr(cv2, "CascadeClassifier") or path is None or not path.is_file():
        raise DetectorError(
            f'the detector "haar" needs OpenCV 4: {cv2.__version__} has no cascades; pip install "opencv-python<5"'
        )
    return cv2.CascadeClassifier(str(path))
