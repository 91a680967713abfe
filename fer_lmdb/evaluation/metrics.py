"""Figures of a classifier, each from probabilities and labels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from fer_lmdb.errors import DataSetError
from fer_lmdb.models.classifier import check_finite

ECE_BINS = 15


def compute_metrics(probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Compute every figure that `evaluate` reports.

    Args:
        probabilities: (N, C) float32.
        labels: (N,) int64, 0 to C - 1.
        classes: names in label order.
    Returns:
        n, accuracy, ci95 (Wilson's interval), macro_f1, macro_precision, macro_recall, log_loss,
        ece (15 bins), per_class {name: {n, precision, recall, f1}}, confusion (rows true, columns predicted).
        A class that never occurs in the labels is left out of the macro averages.
    Raises:
        DataSetError: there is no face.
        ModelError: a probability is not finite.
    """
    if not len(labels):
        raise DataSetError("no face is left to measure on, expected one at least; name another split or other classes")
    check_finite(probabilities)
    scores, target = torch.from_numpy(probabilities), torch.from_numpy(labels)
    count = len(classes)
    hits = int((scores.argmax(dim=1) == target).sum())
    confusion = multiclass_confusion_matrix(scores, target, count)
    per_class = _per_class(scores, target, classes)
    present = [metrics for metrics in per_class.values() if metrics["n"]]
    return {
        "n": len(labels),
        "accuracy": hits / len(labels),
        "ci95": wilson_interval(hits, len(labels)),
        "macro_f1": float(np.mean([figures["f1"] for figures in present])),
        "macro_precision": float(np.mean([figures["precision"] for figures in present])),
        "macro_recall": float(np.mean([figures["recall"] for figures in present])),
        "log_loss": float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-38)).mean()),
        # A mean of probabilities may exceed 1 by rounding: torchmetrics would take all of them for logits.
        "ece": float(multiclass_calibration_error(scores.clamp(0, 1), target, count, n_bins=ECE_BINS)),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def _per_class(scores: torch.Tensor, target: torch.Tensor, classes: tuple[str, ...]) -> dict[str, dict[str, float]]:
    count = len(classes)
    precision = multiclass_precision(scores, target, count, average=None)
    recall = multiclass_recall(scores, target, count, average=None)
    f1 = multiclass_f1_score(scores, target, count, average=None)
    support = torch.bincount(target, minlength=count)
    return {
        name: {
            "n": int(support[i]),
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
        }
        for i, name in enumerate(classes)
    }


def wilson_interval(hits: int, count: int) -> list[float]:
    """Return Wilson's 95 % interval of a share."""
    interval = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]
