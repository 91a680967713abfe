"""OpenCV's Haar cascade: fast, for upright frontal faces, without landmarks."""

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
    """OpenCV's cascade for frontal faces.

    Args:
        min_face: Side of the smallest face to detect, in pixels.
        threshold: Minimum weight of the last stage; not a probability. 0 accepts all faces, 5 is a confident one.
        neighbors: Number of overlapping detections required for a face.

    Raises:
        DetectorError: If this OpenCV has no cascades.
    """

    def __init__(self, min_face: float = 20, threshold: float = 0.0, neighbors: int = 3) -> None:
        self.min_face = min_face
        self.threshold = threshold
        self.neighbors = neighbors
        self._cascade = _load()

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Detect the faces in each image; see `Detector.detect`."""
        return [self._detect_one(as_rgb(image, position)) for position, image in enumerate(images)]

    def _detect_one(self, image: Image) -> list[Face]:
        # Very large images are downscaled first: the integral images take 30 bytes per pixel.
        scale = min(1.0, (MAX_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
        gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if scale < 1:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        smallest = max(1, round(self.min_face * scale))
        boxes, _, weights = self._cascade.detectMultiScale3(
            gray, minNeighbors=self.neighbors, minSize=(smallest, smallest), outputRejectLevels=True
        )
        scores = np.ravel(weights)
        order = [index for index in np.argsort(-scores, kind="stable") if scores[index] >= self.threshold]
        return [Face((boxes[index] / scale).astype(np.float32), float(scores[index])) for index in order]


def _load() -> Any:
    """Load the cascade file of OpenCV."""
    path = Path(cv2.data.haarcascades) / CASCADE if hasattr(cv2, "data") else None
    if not hasattr(cv2, "CascadeClassifier") or path is None or not path.is_file():
        raise DetectorError(
            f'the detector "haar" needs OpenCV 4: {cv2.__version__} has no cascades; pip install "opencv-python<5"'
        )
    return cv2.CascadeClassifier(str(path))
