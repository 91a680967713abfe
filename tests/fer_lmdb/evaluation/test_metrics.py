from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.evaluation.label_mapping import map_to_scheme
from fer_lmdb.evaluation.metrics import compute_metrics, wilson_interval
from fer_lmdb.labels import WITHOUT_DISGUST

CLASSES = ("a", "b", "c")


def test_figures_of_a_case_computed_by_hand():
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], dtype=np.float32
    )
    labels = np.array([0, 1, 1, 2, 0])
    figures = compute_metrics(probabilities, labels, CLASSES)
    assert figures["n"] == 5
    assert figures["accuracy"] == pytest.approx(4 / 5)
    assert figures["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert figures["per_class"]["a"] == pytest.approx({"n": 2, "precision": 2 / 3, "recall": 1.0, "f1": 0.8})
    assert figures["macro_recall"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert figures["macro_precision"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert figures["macro_f1"] == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    assert figures["log_loss"] == pytest.approx(-np.log([0.8, 0.7, 0.3, 0.7, 0.5]).mean(), rel=1e-5)


def test_a_class_without_faces_does_not_lower_the_macro_averages():
    figures = compute_metrics(np.eye(3, dtype=np.float32)[[0, 1]], np.array([0, 1]), CLASSES)
    assert figures["macro_f1"] == figures["macro_recall"] == 1.0
    assert figures["per_class"]["c"]["n"] == 0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.tile(np.array([[0.9, 0.05, 0.05]], dtype=np.float32), (10, 1))
    labels = np.array([0] * 6 + [1] * 4)
    assert compute_metrics(probabilities, labels, CLASSES)["ece"] == pytest.approx(0.3, abs=1e-5)


def test_rounding_beyond_1_does_not_change_the_calibration_error():
    """A mean of probabilities can be a little more than 1: no reason to take all of them for logits."""
    probabilities = np.tile(np.array([[1, 0, 0]], dtype=np.float32), (100, 1))
    labels = np.array([0] * 90 + [1] * 10)
    exact = compute_metrics(probabilities, labels, CLASSES)["ece"]
    probabilities[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert compute_metrics(probabilities, labels, CLASSES)["ece"] == pytest.approx(exact, abs=1e-6)
    assert exact == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_has_diverged_is_told(value):
    probabilities = np.eye(3, dtype=np.float32)
    probabilities[1, 2] = value
    with pytest.raises(ModelError, match=r"the model gives nan for 1 of 3 faces.*its training has diverged"):
        compute_metrics(probabilities, np.arange(3), CLASSES)


def test_no_face_is_no_figure():
    """Such as those of a split of disgust alone, counted without disgust."""
    probabilities, labels = map_to_scheme(np.full((3, 7), 1 / 7, np.float32), np.array([1, 1, 1]), WITHOUT_DISGUST)
    with pytest.raises(DataSetError, match="no face is left to measure on"):
        compute_metrics(probabilities, labels, WITHOUT_DISGUST.classes)


def test_wilsons_interval_agrees_with_its_formula():
    hits, n, z = 700, 1000, 1.959964
    p = hits / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson_interval(hits, n) == pytest.approx([centre - half, centre + half], abs=1e-6)
