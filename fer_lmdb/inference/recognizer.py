"""Facial-expression recognition in images.

from fer_lmdb import Recognizer
for face in Recognizer()("photo.jpg"):
    print(face.expression, face.probability, face.box)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from fer_lmdb import ranges
from fer_lmdb.faces import Face
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inference.crops import crop_faces, crop_settings
from fer_lmdb.inference.recognizer_options import check_options
from fer_lmdb.inference.scaled_detector import MIN_FACE_FRACTION, ScaledDetector, Selection
from fer_lmdb.io.image_source import ImageSource, check_is_sequence, load_image
from fer_lmdb.io.pixels import ColorOrder, check_color_order
from fer_lmdb.models.calibration import apply_temperature
from fer_lmdb.models.classifier import Classifier, check_finite
from fer_lmdb.models.ensemble import average_probabilities, load_ensemble, temperature_of
from fer_lmdb.models.registry import DEFAULT_MODEL, resolve_members
from fer_lmdb.results import UNCERTAIN, FacePrediction
from fer_lmdb.runtime.device import resolve_device, resolve_dtype

ImageArray = NDArray[np.uint8]


class Recognizer:
    """Detect faces and classify their expressions, with the preprocessing that the model was trained with.

    Args:
        model: Name of a pretrained model, model file, run folder or folder of models. Several form an ensemble: their
            probabilities are averaged, and faces are detected with the settings of the first one.
        detector: Face detector instead of the model's; "none" treats each image as one face.
        min_face: Minimum face size in pixels, 1 or more; None scales with the image size.
        detector_threshold: Minimum detection score; None is the default of the detector.
        max_faces: Maximum number of faces per image, those of the highest detection score; None for all.
        largest: Prefer the largest faces to those of the highest score; without `max_faces` a single face.
        rotate: "auto" also looks for faces in the image turned by 90, 180 and 270 degrees; "none" does not.
            Crops of boxes are then rotated by quarter turns until the eyes are above the mouth.
        min_probability: Probability, 0 to 1, below which the expression is "uncertain".
        tta: Number of TTA views averaged per face: 1, 2, 4 or 10.
        align: Crop of each face: "landmarks", "box", or "both" to average their probabilities; None is the model's.
        ensemble_weights: Weight of each model, 0 or more, of any sum; None weights all models equally.
        ensemble_temperature: Temperature that calibrates the average, greater than 0; None uses the geometric mean of
            the models' temperatures. For a single model it replaces the model's own; 1 leaves it uncalibrated.
        color: Channel order of (H, W, 3) arrays passed to `predict`: "rgb", or "bgr" as in OpenCV.
        device: "auto", "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16", or "auto" for bfloat16 if the device supports it natively.

    Attributes:
        models: Names or paths of the models; folders of models are expanded.
        classes: Class names in label order.

    Raises:
        OptionError: If an argument is out of range.
        ModelError: If a model is missing or damaged, label schemes differ, or `ensemble_weights` do not fit.
        DetectorError: If the detector is unknown, or its package or weights are missing.
    """

    def __init__(
        self,
        model: str | Path | Sequence[str | Path] = DEFAULT_MODEL,
        *,
        detector: str | None = None,
        min_face: float | None = None,
        detector_threshold: float | None = None,
        max_faces: int | None = None,
        largest: bool = False,
        rotate: str = "none",
        min_probability: float = 0.0,
        tta: int = 1,
        align: str | None = None,
        ensemble_weights: Sequence[float] | None = None,
        ensemble_temperature: float | None = None,
        color: ColorOrder = "rgb",
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        check_options(
            min_face=min_face, min_probability=min_probability, tta=tta, color=color, device=device, precision=precision
        )
        selection = Selection(max_faces, largest, rotate)
        self.models = resolve_members([model] if isinstance(model, str | os.PathLike) else list(model))
        self.ensemble_weights = None if ensemble_weights is None else [float(weight) for weight in ensemble_weights]
        average_probabilities(np.ones((len(self.models), 0, 1)), self.ensemble_weights)  # raises if they do not fit
        members = [member.model for member in load_ensemble(self.models)]
        self.classes = members[0].scheme.classes
        self._temperature = temperature_of(members, self.ensemble_weights, ensemble_temperature)
        self.min_probability, self.tta, self.color = min_probability, tta, color
        self.device = str(resolve_device(device))
        dtype = resolve_dtype(precision, torch.device(self.device))
        detection = members[0].preprocessing.for_detection()
        if detector is not None:
            detection = replace(detection, detector=detector, threshold=None)
        if detector_threshold is not None:
            ranges.DETECTOR_THRESHOLD.check("detector_threshold", detector_threshold)
            detection = replace(detection, threshold=detector_threshold)
        self._detector = ScaledDetector(detection, min_face, self.device, selection)
        self._crop_settings = [crop_settings(member.preprocessing, align) for member in members]
        self._classifiers = [Classifier(member, self.device, dtype) for member in members]

    @property
    def has_detector(self) -> bool:
        """Whether faces are detected; if not, each image is one face."""
        return self._detector.detects

    @property
    def max_faces(self) -> int | None:
        """Maximum number of faces per image; None for all."""
        return self._detector.selection.limit

    @overload
    def predict(
        self, image: list[ImageSource] | tuple[ImageSource, ...], *, color: ColorOrder | None = None
    ) -> list[list[FacePrediction]]: ...

    @overload
    def predict(self, image: ImageSource, *, color: ColorOrder | None = None) -> list[FacePrediction]: ...

    def predict(self, image: Any, *, color: ColorOrder | None = None) -> Any:
        """Detect the faces of one image and classify their expressions.

        Args:
            image: Path, content of an image file as bytes, open binary file, Pillow image, or (H, W, 3) color or (H, W)
                gray array, uint8, 0-255. A list or tuple of them is passed to `predict_many`.
            color: Channel order of arrays; None uses that of the recognizer.

        Returns:
            The faces, highest detection score first; an empty list if no face was detected. For a list of images, the
            faces of each.

        Raises:
            TypeError: If `image` has another type.
            ImageError: If the file cannot be read, or dtype or shape of the array are not supported.
        """
        if isinstance(image, list | tuple):
            return self.predict_many(image, color=color)
        return self.predict_many([image], color=color)[0]

    __call__ = predict

    def predict_many(
        self, images: Iterable[ImageSource], *, color: ColorOrder | None = None
    ) -> list[list[FacePrediction]]:
        """Detect and classify the faces of several images; faster than one call per image.

        Args:
            images: Images in the forms that `predict` takes; sizes may differ.
            color: Channel order of arrays; None uses that of the recognizer.

        Returns:
            The faces of each image, in the order of the images.

        Raises:
            TypeError: If `images` is a single image, or an element has another type.
            ImageError: If a file cannot be read, or dtype or shape of an array are not supported.
        """
        check_is_sequence(images, "predict_many")
        check_color_order(color or self.color)
        pixels = [load_image(image, color or self.color) for image in images]
        detected = self.detect(pixels)
        rows = iter(self.classify(pixels, detected))
        return [
            [self.to_prediction(face, image, next(rows)) for face in faces]
            for image, faces in zip(pixels, detected, strict=True)
        ]

    def detect(
        self, images: Sequence[ImageArray], min_face_fraction: float = MIN_FACE_FRACTION
    ) -> list[list[Face | None]]:
        """Detect faces without classifying them.

        Args:
            images: (H, W, 3) uint8 RGB, 0-255.
            min_face_fraction: Minimum face size as a fraction of the shorter side; ignored if `min_face` is set.

        Returns:
            The faces of each image, highest score first; [None], the full image, if `has_detector` is False.
        """
        return self._detector.detect(images, min_face_fraction)

    def classify(self, images: Sequence[ImageArray], detected: Sequence[Sequence[Face | None]]) -> NDArray[np.float32]:
        """Classify the expressions of detected faces; the probabilities are calibrated.

        Args:
            images: (H, W, 3) uint8 RGB or (H, W) uint8 gray, 0-255.
            detected: The faces of each image; None is the full image.

        Returns:
            (faces, classes) float32 probabilities, image by image.

        Raises:
            ModelError: If a model returns NaN (its training diverged).
        """
        if not any(detected):
            return np.zeros((0, len(self.classes)), np.float32)
        rotate = self._detector.selection.rotate == "auto"
        crops: dict[Preprocessing, NDArray[np.uint8]] = {}
        members = []
        for name, kinds, classifier in zip(self.models, self._crop_settings, self._classifiers, strict=True):
            for settings in kinds:
                if settings not in crops:
                    crops[settings] = crop_faces(images, detected, settings, rotate)
            rows = [classifier.probabilities(faces, self.tta) for faces in _different([crops[each] for each in kinds])]
            members.append(np.mean(rows, axis=0))
            check_finite(members[-1], name)
        averaged = average_probabilities(np.stack(members), self.ensemble_weights)
        return apply_temperature(averaged, self._temperature)

    def to_prediction(
        self, face: Face | None, image: ImageArray, probabilities: NDArray[np.float32], track_id: int | None = None
    ) -> FacePrediction:
        """Combine a detected face and its probabilities.

        Args:
            face: Detected face; None is the full image.
            image: Image of the face.
            probabilities: (classes,) float32.
            track_id: Track ID of the person in a video.
        """
        best = self.classes[int(probabilities.argmax())]
        expression = best if probabilities.max() >= self.min_probability else UNCERTAIN
        if face is None:
            height, width = image.shape[:2]
            box, score, landmarks = (0.0, 0.0, float(width), float(height)), 1.0, None
        else:
            x, y, width, height = face.box.tolist()
            box, score = (x, y, width, height), float(face.score)
            landmarks = None if face.landmarks is None else tuple((x, y) for x, y in face.landmarks.tolist())
        by_class = dict(zip(self.classes, probabilities.tolist(), strict=True))
        return FacePrediction(box, score, landmarks, expression, by_class, track_id)


def _different(crops: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return crops without the second of two equal ones, as they are for full images and without landmarks."""
    return crops[:1] if len(crops) == 2 and np.array_equal(crops[0], crops[1]) else crops
