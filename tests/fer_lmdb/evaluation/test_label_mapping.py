from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.errors import DataSetError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.evaluation.label_mapping import map_to_scheme, target_scheme
from fer_lmdb.labels import FER2013, FERPLUS, MERGED, WITHOUT_DISGUST
from fer_lmdb.models.evaluation_log import read_evaluations

PROBABILITIES = np.array([[0.3, 0.25, 0.1, 0.05, 0.1, 0.1, 0.1], [0.1, 0.5, 0.1, 0.1, 0.05, 0.05, 0.1]], np.float32)


def test_merged_adds_disgust_to_anger():
    found, labels, kept = map_to_scheme(PROBABILITIES, np.array([6, 1]), MERGED)
    assert found[0] == pytest.approx([0.55, 0.1, 0.05, 0.1, 0.1, 0.1])
    assert (labels.tolist(), kept.tolist()) == ([5, 0], [0, 1])


def test_without_disgust_drops_its_faces_and_renormalizes():
    found, labels, kept = map_to_scheme(PROBABILITIES, np.array([6, 1]), WITHOUT_DISGUST)
    assert found == pytest.approx(np.array([[0.3, 0.1, 0.05, 0.1, 0.1, 0.1]]) / 0.75)
    assert (labels.tolist(), kept.tolist()) == ([5], [0])


def test_seven_classes_are_unchanged():
    found, labels, _ = map_to_scheme(PROBABILITIES, np.array([6, 1]), FER2013)
    assert found == pytest.approx(PROBABILITIES)
    assert labels.tolist() == [6, 1]


def test_schemes_that_cannot_be_mapped_are_rejected():
    with pytest.raises(DataSetError, match="fer2013, merged, without-disgust"):
        target_scheme("ferplus", FER2013)
    with pytest.raises(DataSetError, match="only fer2013 labels"):
        target_scheme("merged", FERPLUS)


def test_an_evaluation_without_disgust_drops_its_faces(trained, stripes_data):
    seven = evaluate([trained.run.path], stripes_data)
    six = evaluate([trained.run.path], stripes_data, label_scheme="without-disgust", compare_to=[trained.run.last])
    assert six.classes == list(WITHOUT_DISGUST.classes)
    assert six.label_scheme == "without-disgust"
    assert six.n == len(six.names) == seven.n - seven.per_class["disgust"]["n"]
    assert sum(map(sum, six.confusion)) == six.n
    assert "without-disgust" not in [record.get("label_scheme") for record in read_evaluations(trained.run)]
