"""The part of a build that other machines can do: pictures in, faces out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.faces.detectors.base import Detector
from fer_lmdb.faces.preprocessing import PreparedFace, Preprocessing, preprocess_faces


class FacePreprocessor:
    """Brings pictures to faces; its detector is loaded at first use, and stays behind when it is sent elsewhere.

    Args:
        preprocessing: how.
        device: where the detector runs.
    """

    def __init__(self, preprocessing: Preprocessing, device: str = "cpu") -> None:
        self.preprocessing = preprocessing
        self.device = device
        self._detectors: list[Detector | None] = []

    def __call__(self, images: list[NDArray[np.uint8]]) -> list[PreparedFace]:
        """Return the face of every picture; see `fer_lmdb.faces.preprocessing.preprocess_faces`."""
        self.load_detector()
        return preprocess_faces(images, self.preprocessing, self._detectors[0])

    def load_detector(self) -> None:
        """Load the detector now.

        Raises:
            DetectorError: it is unknown, or its package or weights are missing.
        """
        if not self._detectors:
            self._detectors.append(self.preprocessing.load_detector(self.device))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_detectors": []}
