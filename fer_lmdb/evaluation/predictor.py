"""Predictions of several models on a split, each on the data set variant that matches its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import DataSetError
from fer_lmdb.models.classifier import Classifier, check_finite
from fer_lmdb.models.ensemble import Member
from fer_lmdb.models.model import Model
from fer_lmdb.runtime.device import resolve_device, resolve_dtype


class EnsemblePredictor:
    """Run models on one device in one dtype; each file is built as a net once.

    Args:
        tta: Number of TTA views averaged per face: 1, 2, 4 or 10.
        device: "auto", "cpu", "cuda", ...
        precision: "float32", "bfloat16" or "auto".
        align: "landmarks", "box" or "both", see `EvalOptions`.

    Attributes:
        tta: Number of TTA views.
        align: Data sets that are used; None for the one that matches each model's training.
        device: Torch device.
        dtype: Compute dtype.

    Raises:
        DeviceError: If the device or dtype is not available.
    """

    def __init__(
        self, tta: int = 1, device: str = "auto", precision: str = "float32", align: str | None = None
    ) -> None:
        self.tta, self.align = tta, align
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(precision, self.device)
        self._classifiers: dict[Path | int, Classifier] = {}

    def predict(self, members: Sequence[Member], variants: DataSetVariants, split: str) -> NDArray[np.float32]:
        """Return the probabilities of all members.

        Args:
            members: The models.
            variants: Data sets with the same faces.
            split: "train", "val" or "test".

        Returns:
            (members, N, classes) float32, in the order of the reference data set.

        Raises:
            DataSetError: If the split is missing or damaged, or its face size is not the model's.
            ModelError: If a model returns NaN.
        """
        images: dict[Path, NDArray[np.uint8]] = {}
        rows = []
        for member in members:
            used = variants.aligned(self.align, member.model.preprocessing)
            for data in used:
                if data.folder not in images:
                    images[data.folder] = variants.images_of(data, split)
                _check_size(member.model, images[data.folder])
            classifier = self._classifier(member)
            rows.append(np.mean([classifier.probabilities(images[data.folder], self.tta) for data in used], axis=0))
            check_finite(rows[-1], member.name)
        return np.stack(rows)

    def _classifier(self, member: Member) -> Classifier:
        key = member.path or id(member.model)
        if key not in self._classifiers:
            self._classifiers[key] = Classifier(member.model, self.device, self.dtype)
        return self._classifiers[key]


def _check_size(model: Model, images: NDArray[np.uint8]) -> None:
    if model.preprocessing.channels != images.shape[1]:
        raise DataSetError(
            f"the channels of the faces do not match the model {model.name}: found {images.shape[1]}, expected "
            f"{model.preprocessing.channels}; use a data set in {'gray' if images.shape[1] != 1 else 'color'}"
        )
    if model.mean is not None and model.mean.shape[1:] != images.shape[2:]:
        found = " x ".join(map(str, images.shape[2:]))
        expected = " x ".join(map(str, model.mean.shape[1:]))
        raise DataSetError(
            f"the face size does not match the model {model.name}: found {found}, expected {expected}; "
            f"build the data set with --size {model.mean.shape[1]}"
        )
