"""Why "78 %" is not 78 %: the accuracies of single batches, their mean, and the best of them.

A solver that tests on one batch of 100 faces reads a different figure every time, and the best reading is far above
the accuracy on all faces. docs/why-78-is-not-78.md tells the story.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
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


def batch_accuracy_figure(found: dict[str, Any], title: str) -> Figure:
    """Draw the readings as points, with the accuracy on all faces and the highest reading."""
    values = 100 * np.array(found["accuracies"])
    best = int(values.argmax())
    image = Figure(figsize=(9, 4), layout="constrained")
    axes = image.subplots()
    places = np.arange(1, len(values) + 1)
    axes.vlines(places, 100 * found["accuracy"], values, color="#C9D6E6")
    axes.plot(places, values, "o", color="#5B7DA8", markersize=5)
    axes.plot(places[best], values[best], "o", color="#D55E00", markersize=8)
    axes.axhline(100 * found["accuracy"], color="#0072B2", linewidth=1.5)
    axes.text(
        len(values) + 0.8, 100 * found["accuracy"], f"all faces\n{100 * found['accuracy']:.1f} %",
        color="#0072B2", va="center",
    )  # fmt: skip
    axes.annotate(
        f"best batch {values[best]:.0f} %", (best + 1, values[best]), (0, 7), textcoords="offset points",
        ha="center", color="#D55E00",
    )  # fmt: skip
    axes.set(xlabel=f"batch of {found['size']} faces", ylabel="accuracy, %", title=title)
    axes.set_xlim(0.2, len(values) + 0.8)
    axes.set_ylim(max(0, values.min() - 4), min(106, values.max() + 4))
    axes.spines[["top", "right"]].set_visible(False)
    return image
