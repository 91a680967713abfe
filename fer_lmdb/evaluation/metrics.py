"""Classification metrics from probabilities and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DataSetError

ECE_BINS = 15
MIN_PROBABILITY = np.finfo(np.float32).tiny
"""Floor of the log-loss: a probability of 0 costs 87.3 instead of infinity."""


def compute_metrics(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Compute the metrics that `evaluate` reports.

    Args:
        probabilities: (N, C) float32, finite.
        labels: (N,) int64, 0 to C - 1.
        classes: Class names in label order.

    Returns:
        n, accuracy, ci95 (Wilson interval), macro_f1, macro_precision, macro_recall, log_loss, ece (15 bins),
        per_class {name: {n, precision, recall, f1}}, confusion (rows true, columns predicted). Classes without faces
        are left out of the macro averages.

    Raises:
        DataSetError: If there is no face.
    """
    if not len(labels):
        raise DataSetError("no face to evaluate on, expected at least one; use another split or label scheme")
    hits = int((probabilities.argmax(axis=1) == labels).sum())
    per_class = _per_class(probabilities, labels, classes)
    present = [metrics for metrics in per_class.values() if metrics["n"]]
    return {
        "n": len(labels),
        "accuracy": hits / len(labels),
        "ci95": wilson_interval(hits, len(labels)),
        "macro_f1": float(np.mean([metrics["f1"] for metrics in present])),
        "macro_precision": float(np.mean([metrics["precision"] for metrics in present])),
        "macro_recall": float(np.mean([metrics["recall"] for metrics in present])),
        "log_loss": log_loss(probabilities, labels),
        "ece": calibration_error(probabilities, labels),
        "per_class": per_class,
        "confusion": confusion_matrix(probabilities, labels).tolist(),
    }


def confusion_matrix(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count true and predicted classes.

    Args:
        probabilities: (N, C).
        labels: (N,), 0 to C - 1.

    Returns:
        (C, C) counts; rows are true classes, columns predicted ones.
    """
    count = probabilities.shape[1]
    cells = labels * count + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the labels.

    Args:
        probabilities: (N, C).
        labels: (N,), 0 to C - 1.
    """
    likelihoods = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(likelihoods, MIN_PROBABILITY)).mean())


def wilson_interval(hits: int, count: int) -> list[float]:
    """Return the 95 % Wilson interval of a fraction."""
    from scipy.stats import binomtest  # takes half a second to import, and the trainer only needs the functions above

    interval = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error: the mean distance of probability and accuracy over 15 bins.

    Args:
        probabilities: (N, C).
        labels: (N,), 0 to C - 1.
    """
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    # A mean of probabilities can exceed 1 by rounding, and torchmetrics would take all of them for logits.
    scores, target = torch.from_numpy(probabilities).clamp(0, 1), torch.from_numpy(labels)
    return float(multiclass_calibration_error(scores, target, probabilities.shape[1], n_bins=ECE_BINS))


def _per_class(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    import torch
    from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision, multiclass_recall

    scores, target, count = torch.from_numpy(probabilities), torch.from_numpy(labels), len(classes)
    precision = multiclass_precision(scores, target, count, average=None)
    recall = multiclass_recall(scores, target, count, average=None)
    f1 = multiclass_f1_score(scores, target, count, average=None)
    support = torch.bincount(target, minlength=count)
    return {
        name: {
            "n": int(support[label]),
            "precision": float(precision[label]),
            "recall": float(recall[label]),
            "f1": float(f1[label]),
        }
        for label, name in enumerate(classes)
    }
