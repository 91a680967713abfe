from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build.join import join
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants, match_by_name
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.models.registry import load_model
from prototxt_like.io.datum_store import SplitArrays


def split_of(*names, labels=None):
    keys = [f"{number:08d}_{name}" for number, name in enumerate(names)]
    images = np.array([ord(name[0]) for name in names], dtype=np.uint8).reshape(-1, 1, 1, 1)
    return SplitArrays(keys, images, np.array(labels or [ord(name[0]) % 7 for name in names]))


def match(found, counted):
    return match_by_name(found, counted, Path("b"), Path("a"))


@pytest.fixture
def two_models(trained):
    """One model per preprocessing."""
    own = load_model(trained.run.path)
    return own, replace(own, preprocessing=Preprocessing(detector="mtcnn"))


def test_each_model_gets_its_variant_in_the_order_of_the_reference(two_models, stripes_data, negative_data):
    own, other = two_models
    variants = DataSetVariants.open([stripes_data, negative_data])
    stripes, negatives = (DataSet.open(folder).read("val").images for folder in (stripes_data, negative_data))
    assert np.array_equal(variants.images_for(own.preprocessing, "val"), stripes)
    assert not np.array_equal(variants.images_for(other.preprocessing, "val"), negatives)  # stored in another order
    assert np.array_equal(variants.images_for(other.preprocessing, "val"), 255 - stripes)


def test_a_model_without_a_matching_variant_gets_the_reference(trained, stripes_data, negative_data):
    model = replace(load_model(trained.run.path), preprocessing=Preprocessing(detector="mtcnn", margin=0.3))
    sets = DataSetVariants.open([negative_data, stripes_data])
    assert sets.matching(model.preprocessing).folder == negative_data


def test_a_joined_set_is_used_only_if_no_other_matches(two_models, stripes_data, negative_data, tmp_path):
    """Training on both variants with teachers that were trained on one of them."""
    join([stripes_data, negative_data], tmp_path / "both", train_only=True)
    sets = DataSetVariants.open([tmp_path / "both", stripes_data, negative_data])
    assert [data.has_mixed_preprocessing for data in sets.sets] == [True, False, False]
    own, other = (sets.images_for(model.preprocessing, "train") for model in two_models)
    assert own.shape == (300, 1, 48, 48)
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
def test_an_invalid_list_of_joined_data_sets_is_rejected(stripes_data, tmp_path, source):
    manifest = json.loads((stripes_data / "manifest.json").read_text()) | {"source": source}
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataSetError, match=r"manifest\.json: damaged: source.*; build the data set again"):
        DataSetVariants.open([folder])


def test_a_face_may_occur_twice():
    assert match(split_of("c", "a", "b"), split_of("a", "b", "a")).tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (split_of("a"), "b is not a variant of a: 1 of 2 faces are missing, e.g. b"),
        (split_of("a", "b", "b"), "1 names occur more than once"),
        (split_of("a", "b", labels=[ord("a") % 7, 6]), "1 of 2 faces have different labels, e.g. b"),
    ],
)
def test_different_faces_are_rejected(found, message):
    with pytest.raises(DataSetError, match=message):
        match(found, split_of("a", "b"))


def test_data_sets_with_different_classes_and_an_empty_list_are_rejected(stripes_data, voted_data):
    with pytest.raises(DataSetError, match="are not variants of one data set"):
        DataSetVariants.open([stripes_data, voted_data])
    with pytest.raises(DataSetError, match="no data set given"):
        DataSetVariants.open([])


def test_alignments_select_data_sets(stripes_data, negative_data):
    sets = DataSetVariants.open([stripes_data, negative_data])  # detector none, then mtcnn by landmarks
    own = Preprocessing(detector="none")

    def folders(align):
        return [data.folder for data in sets.aligned(align, own)]

    assert folders(None) == folders("box") == [stripes_data]
    assert folders("landmarks") == [negative_data]
    assert folders("both") == [negative_data, stripes_data]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("landmarks", "no data set has faces aligned by landmarks: .*fer-lmdb build SOURCE, and pass it with another"),
        ("box", "no data set has unaligned faces: .*fer-lmdb build SOURCE --detector none, and pass it with another"),
    ],
)
def test_a_missing_alignment_is_an_error(missing, message, stripes_data, negative_data):
    folder = stripes_data if missing == "landmarks" else negative_data
    for align in (missing, "both"):
        with pytest.raises(DataSetError, match=message):
            DataSetVariants.open([folder]).aligned(align, Preprocessing())
