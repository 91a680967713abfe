"""Charts of a classifier's metrics per class and of its calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_lmdb.evaluation.metrics import ECE_BINS, wilson_interval
from fer_lmdb.visualization.plots import BLUE, GREEN, despine

ORANGE = "#E69F00"
COLORS = {"precision": BLUE, "recall": ORANGE, "f1": GREEN}
LABELS = {"precision": "precision", "recall": "recall", "f1": "F1"}


def wilson_intervals(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return 95 % Wilson intervals of precision and recall per class.

    Args:
        confusion: (C, C) counts; rows are true classes, columns predictions.

    Returns:
        (C, 2) lower and upper bounds by metric; 0 and 1 for a class that does not occur or is never predicted.
    """
    hits = np.diag(confusion)
    totals = {"precision": confusion.sum(axis=0), "recall": confusion.sum(axis=1)}
    return {
        name: np.array(
            [wilson_interval(int(hit), int(n)) if n else [0.0, 1.0] for hit, n in zip(hits, total, strict=True)]
        )
        for name, total in totals.items()
    }


def draw_per_class(axes: Axes, metrics: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Draw precision, recall and F1 per class as bars, with intervals of precision and recall."""
    intervals = wilson_intervals(np.array(metrics["confusion"]))
    positions = np.arange(len(classes))
    for number, (name, color) in enumerate(COLORS.items()):
        values = np.array([metrics["per_class"][label][name] for label in classes])
        errors = None if name not in intervals else np.abs(intervals[name].T - values).clip(0)
        style: dict[str, Any] = {"error_kw": {"linewidth": 1, "capsize": 1.5}, "edgecolor": "black", "linewidth": 0.4}
        axes.barh(positions + 0.27 * (number - 1), values, 0.25, xerr=errors, color=color, label=LABELS[name], **style)
    axes.set_yticks(positions, classes)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    despine(axes)
    axes.set_title("per class, validation", pad=24)
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.45, 1.0), borderaxespad=0)


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Group faces into confidence bins of equal width.

    Args:
        probabilities: (N, C).
        labels: (N,).

    Returns:
        (ECE_BINS,) arrays by name: count, hits and confidence (mean; NaN for an empty bin).
    """
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    position = (confidence * ECE_BINS).astype(int).clip(max=ECE_BINS - 1)
    count = np.bincount(position, minlength=ECE_BINS)
    total = np.bincount(position, weights=confidence, minlength=ECE_BINS)
    mean = np.divide(total, count, out=np.full(ECE_BINS, np.nan), where=count > 0)
    return {
        "count": count,
        "hits": np.bincount(position, weights=hit, minlength=ECE_BINS).astype(int),
        "confidence": mean,
    }


def calibration_figure(probabilities: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw a reliability diagram: accuracy by confidence, the diagonal of perfect calibration, and counts."""
    bins = reliability_bins(probabilities, labels)
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_reliability(upper, bins)
    edges = np.arange(ECE_BINS) / ECE_BINS
    lower.bar(edges, bins["count"], 1 / ECE_BINS, align="edge", color=BLUE, edgecolor="black", linewidth=0.4)
    lower.set(xlabel="confidence (probability of the predicted class)", ylabel="faces")
    lower.yaxis.set_major_formatter("{x:,.0f}")
    despine(lower)
    return figure


def _draw_reliability(axes: Axes, bins: Mapping[str, np.ndarray]) -> None:
    full = bins["count"] > 0
    counts, hits, confidence = bins["count"][full], bins["hits"][full], bins["confidence"][full]
    accuracy = hits / counts
    intervals = np.array([wilson_interval(int(hit), int(count)) for hit, count in zip(hits, counts, strict=True)])
    axes.plot([0, 1], [0, 1], linestyle="--", color="#888888", linewidth=1, label="perfectly calibrated")
    axes.errorbar(
        confidence,
        accuracy,
        yerr=np.abs(intervals.T - accuracy),
        fmt="o-",
        color=BLUE,
        markersize=4,
        capsize=2,
        label="model",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title="calibration, validation")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left")
    despine(axes)
