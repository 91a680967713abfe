"""Accuracy per batch of 100 faces, and why the best batch is not an accuracy.

A solver that tests on one batch of 100 faces reports a different accuracy each time, and the maximum over batches is
far above the accuracy on all faces: docs/why-78-is-not-78.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

BATCH_SIZE = 100
"""Faces per batch, as in the test phase of Caffe's FaceEmotionNet."""


def batch_accuracies(correct: NDArray[np.bool_], size: int = BATCH_SIZE) -> dict[str, Any]:
    """Return the accuracy of each full batch.

    Args:
        correct: (N,) whether each prediction is correct, in the shuffled order of the data set.
        size: Faces per batch; N if the split is smaller.

    Returns:
        size; accuracies of the batches; accuracy on all N faces; max; expected_max: expected maximum over as many
        batches for a classifier of this accuracy.
    """
    size = min(size, len(correct))
    count = len(correct) // size
    accuracies = correct[: count * size].reshape(count, size).mean(axis=1)
    return {
        "size": size,
        "accuracies": [float(value) for value in accuracies],
        "accuracy": float(correct.mean()),
        "max": float(accuracies.max()),
        "expected_max": expected_max(float(correct.mean()), size, count),
    }


def expected_max(accuracy: float, size: int, count: int) -> float:
    """Return the expected maximum accuracy over `count` batches of `size` faces for a classifier of this accuracy."""
    below = binom.cdf(np.arange(size), size, accuracy) ** count  # P(all batches have at most k hits)
    return float((1 - below).sum() / size)
