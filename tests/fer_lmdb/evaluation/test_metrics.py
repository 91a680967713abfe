from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.errors import DataSetError
from fer_lmdb.evaluation.label_mapping import map_to_scheme
from fer_lmdb.evaluation.metrics import compute_metrics, log_loss, wilson_interval
from fer_lmdb.labels import WITHOUT_DISGUST

CLASSES = ("a", "b", "c")


def test_metrics_of_an_example_computed_by_hand():
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], dtype=np.float32
    )
    labels = np.array([0, 1, 1, 2, 0])
    metrics = compute_metrics(probabilities, labels, CLASSES)
    assert metrics["n"] == 5
    assert metrics["accuracy"] == pytest.approx(4 / 5)
    assert metrics["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics["per_class"]["a"] == pytest.approx({"n": 2, "precision": 2 / 3, "recall": 1.0, "f1": 0.8})
    assert metrics["macro_recall"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert metrics["macro_precision"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert metrics["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    assert metrics["log_loss"] == pytest.approx(-np.log([0.8, 0.7, 0.3, 0.7, 0.5]).mean(), rel=1e-5)


def test_macro_averages_ignore_classes_without_faces():
    metrics = compute_metrics(np.eye(3, dtype=np.float32)[[0, 1]], np.array([0, 1]), CLASSES)
    assert metrics["macro_f1"] == metrics["macro_recall"] == 1.0
    assert metrics["per_class"]["c"]["n"] == 0


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.tile(np.array([[0.9, 0.05, 0.05]], dtype=np.float32), (10, 1))
    labels = np.array([0] * 6 + [1] * 4)
    assert compute_metrics(probabilities, labels, CLASSES)["ece"] == pytest.approx(0.3, abs=1e-5)


def test_rounding_beyond_1_does_not_change_the_calibration_error():
    """A mean of probabilities can exceed 1 by rounding; torchmetrics would take all of them for logits."""
    probabilities = np.tile(np.array([[1, 0, 0]], dtype=np.float32), (100, 1))
    labels = np.array([0] * 90 + [1] * 10)
    exact = compute_metrics(probabilities, labels, CLASSES)["ece"]
    probabilities[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert compute_metrics(probabilities, labels, CLASSES)["ece"] == pytest.approx(exact, abs=1e-6)
    assert exact == pytest.approx(0.1, abs=1e-6)


def test_the_log_loss_is_finite_for_a_probability_of_0():
    assert log_loss(np.array([[0, 1]], np.float32), np.array([0])) == pytest.approx(87.34, abs=0.01)


def test_an_empty_split_is_an_error():
    """For example a split with disgust only, without-disgust."""
    probabilities, labels, _ = map_to_scheme(np.full((3, 7), 1 / 7, np.float32), np.array([1, 1, 1]), WITHOUT_DISGUST)
    with pytest.raises(DataSetError, match="no face to evaluate on"):
        compute_metrics(probabilities, labels, WITHOUT_DISGUST.classes)


def test_the_wilson_interval_agrees_with_its_formula():
    hits, n, z = 700, 1000, 1.959964
    p = hits / n
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson_interval(hits, n) == pytest.approx([center - half, center + half], abs=1e-6)
