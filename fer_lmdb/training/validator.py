"""Validation of the current weights on the val split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fer_lmdb.data.loaders import VALIDATION_CHUNK, ValidationSet
from fer_lmdb.evaluation.metrics import calibration_error, confusion_matrix, log_loss
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.training.distributed import ProcessGroup


@dataclass(frozen=True)
class ValidationMetrics:
    """Metrics of one validation.

    Attributes:
        loss: Mean negative log-likelihood.
        ece: Expected calibration error, 15 bins.
        accuracy: Fraction in [0, 1].
        confusion: (C, C) counts; rows are true classes.
    """

    loss: float
    ece: float
    accuracy: float
    confusion: np.ndarray


@dataclass(frozen=True)
class Validator:
    """Validation split and the classifier that evaluates weights on it.

    Attributes:
        faces: Validation split.
        classifier: Deploy form of the net.
        process_group: Processes that divide the faces among them.
    """

    faces: ValidationSet
    classifier: Classifier
    process_group: ProcessGroup

    def validate(self, weights: Mapping[str, Tensor]) -> ValidationMetrics:
        """Compute the metrics of weights, given by "<layer>/<i>"."""
        labels = self.faces.labels
        self.classifier.load_weights(weights)
        probabilities = self._predict()
        accuracy = float((probabilities.argmax(axis=1) == labels).mean())
        loss, confusion = log_loss(probabilities, labels), confusion_matrix(probabilities, labels)
        return ValidationMetrics(loss, calibration_error(probabilities, labels), accuracy, confusion)

    def _predict(self) -> np.ndarray:
        """Return (N, classes) probabilities; each process computes its slice of the faces."""
        own = self.process_group.rank_slice(len(self.faces.labels))
        chunks = [
            slice(start, min(start + VALIDATION_CHUNK, own.stop))
            for start in range(own.start, own.stop, VALIDATION_CHUNK)
        ]
        rows = [self.classifier.probabilities(self.faces.chunk(chunk)) for chunk in chunks]
        classes = len(self.classifier.scheme)
        return self.process_group.all_gather(np.concatenate(rows or [np.zeros((0, classes), np.float32)]))
