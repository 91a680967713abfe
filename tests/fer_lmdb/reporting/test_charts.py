"""Charts of a classifier's figures."""

from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.evaluation.metrics import ECE_BINS, compute_metrics, wilson_interval
from fer_lmdb.labels import FER2013
from fer_lmdb.reporting.charts import calibration_figure, draw_per_class, reliability_bins, wilson_intervals
from fer_lmdb.visualization.plots import single_figure

CLASSES = FER2013.classes


@pytest.fixture(scope="module")
def answers() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right more often than not, and labels without the class disgust."""
    generator = np.random.default_rng(3)
    labels = generator.choice([0, 2, 3, 4, 5, 6], 500)
    logits = generator.normal(0, 1, (500, 7))
    logits[np.arange(500), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels


def test_the_diagram_s_bins_give_the_calibration_error_that_is_quoted(answers: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, labels = answers
    bins = reliability_bins(probabilities, labels)
    full = bins["count"] > 0
    gap = np.abs(bins["hits"][full] - bins["count"][full] * bins["confidence"][full]).sum() / len(labels)
    assert bins["count"].sum() == 500
    assert gap == pytest.approx(compute_metrics(probabilities, labels, CLASSES)["ece"], abs=1e-6)


def test_full_confidence_lies_in_the_last_bin() -> None:
    bins = reliability_bins(np.array([[1, 0], [0.5, 0.5]], np.float32), np.array([0, 1]))
    assert bins["count"].tolist() == [0] * 7 + [1] + [0] * (ECE_BINS - 9) + [1]
    assert bins["hits"][-1] == 1
    assert np.isnan(bins["confidence"][0])


def test_the_bars_are_the_figures_with_their_intervals(answers: tuple[np.ndarray, np.ndarray]) -> None:
    figures = compute_metrics(*answers, CLASSES)
    axes = single_figure(draw_per_class, figures, CLASSES).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    expected = [figures["per_class"][name][key] for key in ("precision", "recall", "f1") for name in CLASSES]
    np.testing.assert_allclose(widths, expected)
    ends = wilson_intervals(np.array(figures["confusion"]))
    angry = figures["confusion"][0]
    assert ends["recall"][0].tolist() == wilson_interval(angry[0], sum(angry))
    assert ends["recall"][1].tolist() == [0, 1]  # no face of that class


def test_the_calibration_figure_counts_every_face(answers: tuple[np.ndarray, np.ndarray]) -> None:
    _, lower = calibration_figure(*answers).axes
    assert sum(bar.get_height() for bar in lower.patches) == 500
