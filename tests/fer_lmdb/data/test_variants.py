from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build.join import join_datasets
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.data.variants import DataSetVariants, match_by_name
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.models import model as models


def split_of(*names, labels=None):
    keys = [f"{number:08d}_{name}" for number, name in enumerate(names)]
    images = np.array([ord(name[0]) for name in names], dtype=np.uint8).reshape(-1, 1, 1, 1)
    return SplitArrays(keys, images, np.array(labels or [ord(name[0]) % 7 for name in names]))


def match(found, counted):
    return match_by_name(found, counted, Path("b"), Path("a"))


@pytest.fixture
def two_models(trained):
    """A model of each kind of face."""
    own = models.load_model(trained.run.path)
    return own, replace(own, preprocessing=Preprocessing(detector="mtcnn"))


def same(images):
    """What a look sees, as rows."""
    return images.reshape(len(images), -1).astype(np.float32)


def test_every_model_sees_its_own_kind_in_the_order_of_the_first(two_models, stripes_data, negative_data):
    own, other = two_models
    faces = DataSetVariants.open([stripes_data, negative_data]).read("val")
    stripes, negatives = (DataSet.open(folder).read("val").images for folder in (stripes_data, negative_data))
    assert np.array_equal(faces.predict(own.preprocessing, same), same(stripes))
    assert not np.array_equal(faces.predict(other.preprocessing, same), same(negatives))  # they lie in another order
    assert np.array_equal(faces.predict(other.preprocessing, same), 255 - same(stripes))


def test_a_model_of_no_kind_sees_the_first(trained, stripes_data, negative_data):
    model = replace(models.load_model(trained.run.path), preprocessing=Preprocessing(detector="mtcnn", margin=0.3))
    sets = DataSetVariants.open([negative_data, stripes_data])
    assert sets.matching(model.preprocessing).folder == negative_data


def test_a_joined_set_is_asked_for_what_no_other_has(two_models, stripes_data, negative_data, tmp_path):
    """A training on both kinds has teachers that know one of them: each looks at every face once."""
    join_datasets([stripes_data, negative_data], tmp_path / "both", train_only=True)
    sets = DataSetVariants.open([tmp_path / "both", stripes_data, negative_data])
    assert [data.has_mixed_preprocessing for data in sets.sets] == [True, False, False]
    faces, looks = sets.read("train"), []

    def count(images):
        looks.append(len(images))
        return same(images)

    own, other = (faces.predict(model.preprocessing, count) for model in two_models)
    assert looks == [150, 150]
    assert own.shape == (300, 48 * 48)
    assert np.array_equal(other, 255 - own)
    assert (
        DataSetVariants.open([tmp_path / "both", negative_data]).matching(two_models[0].preprocessing).folder
        == tmp_path / "both"
    )


@pytest.mark.parametrize(
    "source",
    [
        "here",
        {"joined": 3},
        {"joined": [{}]},
        {"joined": [{"preprocessing": "none"}]},
        {"joined": [{"preprocessing": {}, "source": {"joined": [{}]}}]},
    ],
)
def test_a_manifest_that_does_not_tell_its_parts_is_damaged(stripes_data, tmp_path, source):
    manifest = json.loads((stripes_data / "manifest.json").read_text()) | {"source": source}
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataSetError, match="source does not tell what was joined"):
        DataSetVariants.open([folder])


def test_a_face_may_be_counted_twice():
    assert match(split_of("c", "a", "b"), split_of("a", "b", "a")).tolist() == [1, 2, 1]


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
        DataSetVariants.open([stripes_data, voted_data])
    with pytest.raises(DataSetError, match="no data set is named"):
        DataSetVariants.open([])
