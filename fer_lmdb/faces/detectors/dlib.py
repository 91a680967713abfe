"""dlib's HOG face detector with 68 landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Face, Image, as_rgb
from fer_lmdb.faces.detectors.packages import extra, package_folder

WINDOW = 80
"""Side in pixels of the smallest face that the detector can find; images are scaled so that `min_face` becomes this."""
MAX_PIXELS = 1 << 24
MAX_SIDE = 8192
"""Longest side passed to dlib, which writes out of bounds on much longer images."""
LANDMARKS_FILE = "shape_predictor_68_face_landmarks.dat"


class Dlib:
    """dlib's frontal face detector with 68 landmarks.

    Args:
        min_face: Side of the smallest face to detect, in pixels. Small values require an upscaled image and more time.
        threshold: Minimum score: distance from the decision boundary, not a probability.

    Raises:
        DetectorError: If dlib or its landmark file is not installed.
    """

    def __init__(self, min_face: float = 20, threshold: float = 0.0) -> None:
        folder = package_folder("face_recognition_models", "dlib", extra("dlib"))
        try:
            import dlib
        except ImportError as error:
            raise DetectorError(f'the detector "dlib" needs dlib, which is missing; {extra("dlib")}') from error
        self.min_face = min_face
        self.threshold = threshold
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(folder / "models" / LANDMARKS_FILE))

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Detect the faces in each image; see `Detector.detect`."""
        return [self._detect_one(as_rgb(image, position)) for position, image in enumerate(images)]

    def _detect_one(self, image: Image) -> list[Face]:
        height, width = image.shape[:2]
        most = min((MAX_PIXELS / (height * width)) ** 0.5, MAX_SIDE / max(height, width))
        scale = min(WINDOW / self.min_face, most)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if min(size) < WINDOW / 2:  # dlib aborts the process if its features do not fit the image
            return []
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=interpolation), np.uint8)
        found, scores, _ = self._detector.run(scaled, 0, self.threshold)
        faces = [self._face(scaled, box, score, scale) for box, score in zip(found, scores, strict=True)]
        return sorted(faces, key=lambda face: -face.score)

    def _face(self, scaled: Image, found: Any, score: float, scale: float) -> Face:
        corner = np.array([found.left(), found.top()])
        size = np.array([found.width(), found.height()])
        points: NDArray[np.float64] = np.array([[p.x, p.y] for p in self._landmarks(scaled, found).parts()], float)
        box = (np.concatenate([corner, size]) / scale).astype(np.float32)
        return Face(box, float(score), ((points + 0.5) / scale - 0.5).astype(np.float32))
