from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from fer_lmdb.data import ferplus as votes
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources.ferplus import VOTE_COLUMNS
from fer_lmdb.errors import DataSetError

CAST = np.array(
    [
        [6, 1, 1, 1, 1, 0, 0, 0, 0, 0],  # a majority, once single votes are gone
        [5, 3, 0, 0, 0, 0, 0, 0, 2, 0],  # the most, but no majority
        [0, 0, 0, 0, 0, 0, 0, 6, 0, 4],  # contempt
        [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],  # unknown won
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
    ],
    dtype=np.float32,
)


def test_single_votes_and_those_without_expression_are_left_out_of_the_shares():
    found = votes.vote_distributions(CAST)
    assert found[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert found[1, :2].tolist() == pytest.approx([5 / 8, 3 / 8])
    assert found[3, 0] == 1
    assert found[4].sum() == 0


def test_majority_keeps_one_expression_or_none():
    found = votes.targets(CAST, "majority")
    assert found.sum(axis=1).tolist() == [1, 0, 1, 0, 0]
    assert found[2, 7] == 1


def test_the_other_modes_learn_the_shares():
    for mode in ("probability", "cross-entropy"):
        assert np.array_equal(votes.targets(CAST, mode), votes.vote_distributions(CAST))


def test_figures_under_every_rule():
    labels = np.array([0, 0, 7, 0, 0])
    probabilities = np.eye(8, dtype=np.float32)[[0, 1, 7, 0, 0]]
    found = votes.compute_metrics(probabilities[:4], labels[:4], CAST[:4])
    assert {rule: (figure["n"], figure["accuracy"]) for rule, figure in found.items()} == {
        "majority without contempt": (1, 1.0),
        "majority": (2, 1.0),
        "argmax": (3, pytest.approx(2 / 3)),
        "all": (4, pytest.approx(3 / 4)),
    }


def test_votes_are_read_in_the_order_of_the_faces(voted_data):
    data = DataSet.open(voted_data)
    found, labels = votes.read(data, "train"), data.read("train").labels
    assert found.shape == (150, 10)
    assert np.array_equal(found.argmax(axis=1), labels)
    assert votes.vote_distributions(found)[0, labels[0]] == pytest.approx(0.7)


def test_a_data_set_without_votes_says_how_to_get_them(stripes_data, voted_data, tmp_path):
    with pytest.raises(DataSetError, match="--classes ferplus --ferplus"):
        votes.read(DataSet.open(stripes_data), "train")
    manifest = json.loads((voted_data / "manifest.json").read_text())
    del manifest["splits"]["val"]["votes_file_sha256"]
    assert not votes.has_votes(DataSet(voted_data, manifest), "val")
    with pytest.raises(DataSetError, match="the val split carries no votes"):
        votes.read(DataSet(voted_data, manifest), "val")


def test_damaged_votes_are_found(voted_data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(voted_data, copy)
    path = copy / "train_votes_lmdb" / "data.mdb"
    path.write_bytes(path.read_bytes()[:-100] + b"x" * 100)
    with pytest.raises(DataSetError, match="damaged"):
        votes.read(DataSet.open(copy), "train")


def test_the_n_of_published_figures_on_the_real_votes(shared):
    """The literature's 3,137 and 3,573 exactly; its 3,545 is 3,546 by the votes."""
    with (shared / "fer2013" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["usage"] == "PrivateTest"]
    cast = np.array([[int(row[name]) for name in VOTE_COLUMNS] for row in rows], dtype=np.float32)
    cast = cast[cast[:, :8].any(axis=1)]  # what a data set of the scheme holds
    labels = cast[:, :8].argmax(axis=1)
    found = votes.compute_metrics(np.eye(8, dtype=np.float32)[labels], labels, cast)
    assert [figure["n"] for figure in found.values()] == [3137, 3153, 3546, 3573]
