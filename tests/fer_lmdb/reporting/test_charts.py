"""Charts of metrics per class and calibration."""

from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.evaluation.metrics import ECE_BINS, compute_metrics, wilson_interval
from fer_lmdb.labels import FER2013
from fer_lmdb.reporting.charts import calibration_figure, draw_per_class, reliability_bins, wilson_intervals
from fer_lmdb.visualization.plots import single_figure

CLASSES = FER2013.classes


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are mostly correct, and labels without the class disgust."""
    generator = np.random.default_rng(3)
    labels = generator.choice([0, 2, 3, 4, 5, 6], 500)
    logits = generator.normal(0, 1, (500, 7))
    logits[np.arange(500), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels


def test_bins_reproduce_the_calibration_error(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = predictions
    bins = reliability_bins(probabilities, labels)
    full = bins["count"] > 0
    gap = np.abs(bins["hits"][full] - bins["count"][full] * bins["confidence"][full]).sum() / len(labels)
    assert bins["count"].sum() == 500
    assert gap == pytest.approx(compute_metrics(probabilities, labels, CLASSES)["ece"], abs=1e-6)


def test_full_confidence_is_in_the_last_bin() -> None:
    bins = reliability_bins(np.array([[1, 0], [0.5, 0.5]], np.float32), np.array([0, 1]))
    assert bins["count"].tolist() == [0] * 7 + [1] + [0] * (ECE_BINS - 9) + [1]
    assert bins["hits"][-1] == 1
    assert np.isnan(bins["confidence"][0])


def test_bars_and_intervals_per_class(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = compute_metrics(*predictions, CLASSES)
    axes = single_figure(draw_per_class, metrics, CLASSES).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    expected = [metrics["per_class"][name][key] for key in ("precision", "recall", "f1") for name in CLASSES]
    np.testing.assert_allclose(widths, expected)
    intervals = wilson_intervals(np.array(metrics["confusion"]))
    angry = metrics["confusion"][0]
    assert intervals["recall"][0].tolist() == wilson_interval(angry[0], sum(angry))
    assert intervals["recall"][1].tolist() == [0, 1]  # no face of that class


def test_calibration_figure_counts_all_faces(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    _, lower = calibration_figure(*predictions).axes
    assert sum(bar.get_height() for bar in lower.patches) == 500
