"""Expressions in pictures, from Python.

from fer_lmdb.models.classifier import Classifier
from fer_lmdb import Recognizer
for face in Recognizer().predict("photo.jpg"):
    print(face.expression, face.probability, face.box)
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.faces import Detector, Face
from fer_lmdb.faces.preprocessing import Preprocessing, crop_face, crop_full_image, detect_faces
from fer_lmdb.io.images import read_image
from fer_lmdb.models import ensemble
from fer_lmdb.models.classifier import Classifier, check_finite
from fer_lmdb.models.model import DEFAULT_MODEL
from fer_lmdb.results import UNCERTAIN, FacePrediction
from fer_lmdb.runtime.device import choose_device
from fer_lmdb.runtime.precision import choose_precision

ImageInput = NDArray[np.uint8]

MIN_FACE_FRACTION = 1 / 24
"""Unless told otherwise, faces smaller than this part of a picture's shorter side are not looked for: finding them
takes most of the time, and in photographs they are too small to show an expression."""


class Recognizer:
    """Finds the faces of pictures and tells their expressions, in the way that the model was trained for.

    Args:
        model: a shipped model's name, a model file, a run folder or a folder of models; several are an ensemble, whose
            probabilities are averaged (the first one's detector finds the faces).
        detector: another detector than the model's; "none" takes every picture as one face.
        min_face: side of the smallest face looked for, in pixels; None goes by the size of each picture.
        threshold: probability 0-1 below which an expression is called "uncertain".
        tta: views averaged per face: 1, 2, 4 or 10.
        device: "auto", "cpu", "cuda", ...
        precision: what the nets compute in: "float32", "bfloat16", or "auto" for bfloat16 where the processor is fast
            at it.

    Attributes:
        models: the names or paths of the models that answer, a folder's one by one.
        classes: what they tell apart, in the order of their scores.

    Raises:
        ModelError: a model is missing or damaged, or the models know different classes.
        DetectorError: the detector is unknown, or its package or weights are missing.
    """

    def __init__(
        self,
        model: str | Path | Sequence[str | Path] = DEFAULT_MODEL,
        *,
        detector: str | None = None,
        min_face: float | None = None,
        threshold: float = 0.0,
        tta: int = 1,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        self.models = ensemble.resolve_members([model] if isinstance(model, str | Path) else list(model))
        members = ensemble.load_ensemble(self.models)
        self.classes = members[0].scheme.classes
        self.threshold, self.tta, self.min_face = threshold, tta, min_face
        self.device = str(choose_device(device))
        dtype = choose_precision(precision, torch.device(self.device))
        self._detection = members[0].preprocessing.for_detection()
        if detector is not None:
            self._detection = replace(self._detection, detector=detector)
        self._crop_settings = [member.preprocessing.for_detection() for member in members]
        self._classifiers = [Classifier(member, self.device, dtype) for member in members]
        self._detectors: dict[float, Detector | None] = {}
        self._detector(self.min_face or self._detection.min_face)  # one that is missing is told of before any picture

    @property
    def has_detector(self) -> bool:
        """Whether there is a detector; without one every picture counts as one face."""
        return self._detection.detector != "none"

    def predict(self, image: ImageInput | str | os.PathLike[str]) -> list[FacePrediction]:
        """Find the faces of one picture and tell their expressions.

        Args:
            image: a file, or uint8 pixels: (H, W, 3) RGB or (H, W) grey, 0-255.

        Returns:
            the faces, best detection score first; an empty list where there is none.

        Raises:
            ImageError: the file cannot be read, or the array is no such picture.
        """
        pixels = read_image(image) if isinstance(image, str | os.PathLike) else image
        return self.predict_many([pixels])[0]

    def predict_many(self, images: Sequence[ImageInput]) -> list[list[FacePrediction]]:
        """Do the same for several pictures at once, which is quicker than one by one.

        Args:
            images: uint8 (H, W, 3) RGB or (H, W) grey, 0-255; sizes may differ.

        Returns:
            the faces of every picture, in the order of the pictures.

        Raises:
            ImageError: one of the arrays is no such picture.
        """
        images = [_as_image(image) for image in images]
        found = self.detect(images)
        rows = iter(self.classify(images, found))
        return [
            [self.to_prediction(face, image, next(rows)) for face in faces]
            for image, faces in zip(images, found, strict=True)
        ]

    def detect(self, images: Sequence[ImageInput], share: float = MIN_FACE_FRACTION) -> list[list[Face | None]]:
        """Find faces without classifying them.

        Args:
            images: uint8 (H, W, 3) RGB, 0-255.
            share: the smallest face as a part of each picture's shorter side; a `min_face` of the recogniser wins.

        Returns:
            the faces of every picture, best score first; without a detector None, which stands for the whole picture.
        """
        if not self.has_detector:
            return [[None] for _ in images]
        found: list[list[Face | None]] = [[] for _ in images]
        for min_face, members in self._by_min_face(images, share).items():
            faces = detect_faces([images[at] for at in members], self._detection, self._detector(min_face))
            for at, own in zip(members, faces, strict=True):
                found[at] = list(own)
        return found

    def classify(self, images: Sequence[ImageInput], found: Sequence[Sequence[Face | None]]) -> NDArray[np.float32]:
        """Tell the expressions of faces that are already found.

        Args:
            images: uint8 (H, W, 3) RGB or (H, W) grey, 0-255.
            found: the faces of every picture; None stands for the whole picture.

        Returns:
            (all faces, classes) float32 probabilities, picture by picture.

        Raises:
            ModelError: a model gives nan: its training has diverged.
        """
        total = np.zeros((sum(map(len, found)), len(self.classes)), np.float64)
        crops: dict[Preprocessing, NDArray[np.uint8]] = {}
        for name, cutting, classifier in zip(self.models, self._crop_settings, self._classifiers, strict=True):
            if len(total):
                if cutting not in crops:
                    crops[cutting] = _crop(images, found, cutting)
                rows = classifier.probabilities(crops[cutting], self.tta)
                check_finite(rows, name)
                total += rows
        return (total / len(self._classifiers)).astype(np.float32)

    def to_prediction(
        self, face: Face | None, image: ImageInput, row: NDArray[np.float32], number: int | None = None
    ) -> FacePrediction:
        """Put a face and its probabilities together.

        Args:
            face: where it is; None for the whole picture.
            image: what it was found in.
            row: (classes,) float32 probabilities.
            number: the person's number in a video.
        """
        probabilities = dict(zip(self.classes, row.tolist(), strict=True))
        best = self.classes[int(row.argmax())]
        expression = best if row.max() >= self.threshold else UNCERTAIN
        if face is None:
            height, width = image.shape[:2]
            box, score, landmarks = (0.0, 0.0, float(width), float(height)), 1.0, None
        else:
            x, y, width, height = face.box.tolist()
            box, score = (x, y, width, height), float(face.score)
            landmarks = None if face.landmarks is None else tuple((x, y) for x, y in face.landmarks.tolist())
        return FacePrediction(box, score, landmarks, expression, probabilities, number)

    def _by_min_face(self, images: Sequence[ImageInput], share: float) -> dict[float, list[int]]:
        groups: dict[float, list[int]] = {}
        for at, image in enumerate(images):
            least = self.min_face or quantized_min_face(min(image.shape[:2]) * share, self._detection.min_face)
            groups.setdefault(least, []).append(at)
        return groups

    def _detector(self, min_face: float) -> Detector | None:
        if min_face not in self._detectors:
            finding = replace(self._detection, min_face=min_face)
            self._detectors[min_face] = finding.load_detector(self.device)
        return self._detectors[min_face]


def quantized_min_face(wish: float, least: float) -> float:
    """Return a side near `wish` but not below `least`, in steps, so that pictures of like size share a batch."""
    steps = max(0, math.floor(2 * math.log2(max(wish / least, 1))))
    return float(least * 2 ** (steps / 2))


def _as_image(image: ImageInput) -> ImageInput:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(
            f"an array of {array.dtype} {array.shape} is no picture; expected uint8 (H, W, 3) RGB or (H, W) grey, 0-255"
        )
    return array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)


def _crop(
    images: Sequence[ImageInput], found: Sequence[Sequence[Face | None]], how: Preprocessing
) -> NDArray[np.uint8]:
    """Return all faces as (N, 1, size, size) uint8 grey."""
    crops = [
        (crop_full_image(image, how) if face is None else crop_face(image, face, how)).crop
        for image, faces in zip(images, found, strict=True)
        for face in faces
    ]
    return np.stack(crops)[:, None]
