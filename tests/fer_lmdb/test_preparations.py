from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb import models
from fer_lmdb.dataset import DataSet
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.prepare import Preprocessing
from fer_lmdb.preparations import Preparations, matched
from fer_lmdb.store import Split


def split_of(*names, labels=None):
    keys = [f"{number:08d}_{name}" for number, name in enumerate(names)]
    images = np.array([ord(name[0]) for name in names], dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(keys, images, np.array(labels or [ord(name[0]) % 7 for name in names]))


def match(found, counted):
    return matched(found, counted, Path("b"), Path("a"))


@pytest.fixture
def two_models(trained):
    """A model of each kind of face."""
    own = models.load(trained.run.path)
    return own, replace(own, preprocessing=Preprocessing(detector="mtcnn"))


def test_every_model_sees_its_own_kind_in_the_order_of_the_first(two_models, stripes_data, negative_data):
    own, other = two_models
    faces = Preparations.open([stripes_data, negative_data]).read("val")
    assert np.array_equal(faces.seen_by(own), DataSet.open(stripes_data).read("val").images)
    assert not np.array_equal(faces.seen_by(other), DataSet.open(negative_data).read("val").images)  # its own order
    assert np.array_equal(faces.seen_by(other), 255 - faces.seen_by(own))


def test_a_model_of_no_kind_sees_the_first(trained, stripes_data, negative_data):
    model = replace(models.load(trained.run.path), preprocessing=Preprocessing(detector="mtcnn", margin=0.3))
    sets = Preparations.open([negative_data, stripes_data])
    assert sets.suited_to(model).folder == negative_data


def test_a_face_may_be_counted_twice():
    found = match(split_of("c", "a", "b"), split_of("a", "b", "a"))
    assert found.images.ravel().tolist() == [ord(name) for name in "aba"]
    assert found.labels.tolist() == [ord(name) % 7 for name in "aba"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (split_of("a"), "b is no other preparation of the faces of a: 1 of 2 are not in it, as b"),
        (split_of("a", "b", "b"), "holds 1 names more than once"),
        (split_of("a", "b", labels=[ord("a") % 7, 6]), "1 of 2 have another label there, as b"),
    ],
)
def test_other_faces_are_refused(found, message):
    with pytest.raises(DataSetError, match=message):
        match(found, split_of("a", "b"))


def test_data_sets_of_other_classes_and_none_at_all_are_refused(stripes_data, voted_data):
    with pytest.raises(DataSetError, match="are no preparations of the same faces"):
        Preparations.open([stripes_data, voted_data])
    with pytest.raises(DataSetError, match="no data set is named"):
        Preparations.open([])
