"""Why "78 %" is not 78 %: the accuracies of single batches, their mean, and the best of them.

A solver that tests on one batch of 100 faces reads a different figure every time, and the best reading is far above
the accuracy on all faces. docs/why-78-is-not-78.md tells the story.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

BATCH_SIZE = 100
"""Faces in a batch: so many Caffe's FaceEmotionNet was tested on at a time."""


def batch_accuracies(right: NDArray[np.bool_], size: int = BATCH_SIZE) -> dict[str, Any]:
    """Read the accuracy on every full batch.

    Args:
        right: (N,) whether each face was recognised, in the order of the data set (it is shuffled).
        size: faces in a batch; fewer where the split is smaller.
    Returns:
        size; accuracies of the batches; accuracy on all N faces; max; expected_max: what the best batch
        shows on average for a net that is right as often as this one.
    """
    size = min(size, len(right))
    count = len(right) // size
    accuracies = right[: count * size].reshape(count, size).mean(axis=1)
    return {
        "size": size,
        "accuracies": [float(value) for value in accuracies],
        "accuracy": float(right.mean()),
        "max": float(accuracies.max()),
        "expected_max": expected_max(float(right.mean()), size, count),
    }


def expected_max(accuracy: float, size: int, count: int) -> float:
    """Return the mean of the highest of `count` readings on `size` faces each, for a net of that accuracy."""
    below = binom.cdf(np.arange(size), size, accuracy) ** count  # chance that all readings are k hits or fewer
    return float((1 - below).sum() / size)
