from __future__ import annotations

import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training.class_weights import class_weights

COUNTS = np.array([100.0, 25.0, 400.0])


def weights(text, counts=COUNTS):
    return class_weights(pl.parse_solver(f"base_lr: 1 {text}"), counts)


def test_no_class_weights_by_default():
    assert weights("") is None


def test_inverse_weights_give_all_classes_the_same_total():
    found = weights('class_weighting: "inverse"')
    assert found * COUNTS == pytest.approx([175, 175, 175])


def test_inverse_root_goes_half_of_the_way():
    found = weights('class_weighting: "inverse_root"')
    assert found / found[0] == pytest.approx([1, 2, 0.5])


def test_a_list_keeps_its_proportions():
    found = weights("class_weight: [2, 6, 1]")
    assert found / found[2] == pytest.approx([2, 6, 1])


@pytest.mark.parametrize(
    "text", ['class_weighting: "inverse"', 'class_weighting: "inverse_root"', "class_weight: [3, 0, 1]"]
)
def test_the_mean_weight_of_a_face_is_one(text):
    assert (weights(text) * COUNTS).sum() / COUNTS.sum() == pytest.approx(1)


def test_a_class_without_faces_is_no_division_by_zero():
    found = weights('class_weighting: "inverse"', np.array([10.0, 0.0, 30.0]))
    assert np.isfinite(found).all()
    assert found[0] / found[2] == pytest.approx(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('class_weighting: "balanced"', "inverse, inverse_root"),
        ("class_weight: [1, 2]", "2 class weights for 3 classes"),
        ("class_weight: [1, -2, 1]", "0 or more"),
        ("class_weight: [0, 0, 0]", "above 0"),
        ('class_weight: [1, 1, 1] class_weighting: "inverse"', "remove one"),
    ],
)
def test_invalid_class_weights_are_rejected(text, message):
    with pytest.raises(RunError, match=message):
        weights(text)


def test_weights_for_empty_classes_only_are_rejected():
    with pytest.raises(RunError, match="are 0 for all classes"):
        weights("class_weight: [0, 1, 0]", np.array([10.0, 0.0, 30.0]))
