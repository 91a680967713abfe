"""Face detection with a minimum face size that scales with the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import ROTATIONS
from fer_lmdb.errors import OptionError
from fer_lmdb.faces import Detector, Face
from fer_lmdb.faces.preprocessing import Preprocessing, detect_faces
from fer_lmdb.inference.rotation import detect_rotated
from fer_lmdb.ranges import COUNT

WITH_LANDMARKS = ("mtcnn", "dlib")
"""Detectors whose faces can be aligned at any angle."""
MIN_FACE_FRACTION = 1 / 24
"""Default minimum face size as a fraction of the image's shorter side: detecting smaller faces takes most of the time,
and in photographs they are too small to show an expression."""


@dataclass(frozen=True)
class Selection:
    """Which faces of an image are used.

    Attributes:
        max_faces: Maximum number of faces, those of the highest score; None for all.
        largest: Prefer the largest faces to those of the highest score; without `max_faces` one face.
        rotate: "auto" also looks for faces in the image turned by 90, 180 and 270 degrees; "none" does not.

    Raises:
        OptionError: If a value is out of range.
    """

    max_faces: int | None = None
    largest: bool = False
    rotate: str = "none"

    def __post_init__(self) -> None:
        if self.max_faces is not None:
            COUNT.check("max_faces", self.max_faces)
        if self.rotate not in ROTATIONS:
            raise OptionError(f"invalid rotate: found {self.rotate!r}, expected one of: {', '.join(ROTATIONS)}")

    @property
    def limit(self) -> int | None:
        """Maximum number of faces; None for all."""
        return 1 if self.largest and self.max_faces is None else self.max_faces

    def choose(self, faces: Sequence[Face]) -> list[Face]:
        """Return the selected ones of faces that are in the order of their score, in the same order."""
        chosen = sorted(range(len(faces)), key=lambda at: -float(faces[at].box[2:].prod()) if self.largest else at)
        return [faces[at] for at in sorted(chosen[: self.limit])]


ALL_FACES = Selection()


class ScaledDetector:
    """Detect faces in batches of images of similar minimum face size.

    Args:
        settings: Detector and its options; `settings.min_face` is the lower limit if `min_face` is None.
        min_face: Minimum face size in pixels; None scales with the image size.
        device: Device of the detector.
        selection: Which of the detected faces are returned.

    Raises:
        DetectorError: If the detector is unknown, or its package or weights are missing.
        OptionError: If faces in rotated images cannot be aligned, because the detector finds no landmarks.
    """

    def __init__(
        self, settings: Preprocessing, min_face: float | None, device: str, selection: Selection = ALL_FACES
    ) -> None:
        self._settings, self._min_face, self._device = settings, min_face, device
        self.selection = selection
        if selection.rotate == "auto" and settings.detector.partition(":")[0] not in WITH_LANDMARKS:
            raise OptionError(
                f'rotate "auto" needs landmarks: found the detector "{settings.detector}", expected one of '
                f"{', '.join(WITH_LANDMARKS)}; select another detector"
            )
        self._detectors: dict[float, Detector | None] = {}
        self._load(min_face or settings.min_face)  # report a missing detector before reading images

    @property
    def detects(self) -> bool:
        """Whether faces are detected; if not, each image is one face."""
        return self._settings.detector != "none"

    def detect(self, images: Sequence[NDArray[np.uint8]], min_face_fraction: float) -> list[list[Face | None]]:
        """Detect the faces of each image, highest score first; [None], the full image, if `detects` is False.

        Args:
            images: (H, W, 3) uint8 RGB, 0-255.
            min_face_fraction: Minimum face size as a fraction of the shorter side; ignored if `min_face` is set.
        """
        if not self.detects:
            return [[None] for _ in images]
        detected: list[list[Face | None]] = [[] for _ in images]
        for min_face, group in self._group_by_min_face(images, min_face_fraction).items():
            detect = partial(detect_faces, preprocessing=self._settings, detector=self._load(min_face))
            some = [images[at] for at in group]
            faces = detect_rotated(some, detect) if self.selection.rotate == "auto" else detect(some)
            for at, own in zip(group, faces, strict=True):
                detected[at] = list(self.selection.choose(own))
        return detected

    def _group_by_min_face(self, images: Sequence[NDArray[np.uint8]], fraction: float) -> dict[float, list[int]]:
        groups: dict[float, list[int]] = {}
        for at, image in enumerate(images):
            size = self._min_face or quantized_min_face(min(image.shape[:2]) * fraction, self._settings.min_face)
            groups.setdefault(size, []).append(at)
        return groups

    def _load(self, min_face: float) -> Detector | None:
        if min_face not in self._detectors:
            settings = replace(self._settings, min_face=min_face)
            self._detectors[min_face] = settings.load_detector(self._device)
        return self._detectors[min_face]


def quantized_min_face(size: float, minimum: float) -> float:
    """Return a minimum face size near `size`, at least `minimum`, in steps of sqrt(2): similar images share a batch."""
    steps = max(0, math.floor(2 * math.log2(max(size / minimum, 1))))
    return float(minimum * 2 ** (steps / 2))
