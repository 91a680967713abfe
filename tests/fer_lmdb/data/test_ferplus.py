from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fer_lmdb.data import ferplus
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError

VOTES = np.array(
    [
        [6, 1, 1, 1, 1, 0, 0, 0, 0, 0],  # majority after removing single votes
        [5, 3, 0, 0, 0, 0, 0, 0, 2, 0],  # plurality, no majority
        [0, 0, 0, 0, 0, 0, 0, 6, 0, 4],  # contempt
        [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],  # unknown
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
    ],
    dtype=np.float32,
)


def test_distributions_ignore_single_votes_and_votes_for_no_expression():
    found = ferplus.vote_distributions(VOTES)
    assert found[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert found[1, :2].tolist() == pytest.approx([5 / 8, 3 / 8])
    assert found[3, 0] == 1
    assert found[4].sum() == 0


def test_majority_targets_have_one_expression_or_none():
    found = ferplus.targets(VOTES, "majority")
    assert found.sum(axis=1).tolist() == [1, 0, 1, 0, 0]
    assert found[2, 7] == 1


def test_other_modes_use_the_distribution():
    for mode in ("probability", "cross-entropy"):
        assert np.array_equal(ferplus.targets(VOTES, mode), ferplus.vote_distributions(VOTES))


def test_votes_are_read_in_the_order_of_the_faces(voted_data):
    data = DataSet.open(voted_data)
    found, labels = ferplus.read(data, "train"), data.read("train").labels
    assert found.shape == (150, 10)
    assert np.array_equal(found.argmax(axis=1), labels)
    assert ferplus.vote_distributions(found)[0, labels[0]] == pytest.approx(0.7)


def test_missing_votes_are_reported_with_the_build_command(stripes_data, voted_data, tmp_path):
    with pytest.raises(DataSetError, match="--label-scheme ferplus --ferplus"):
        ferplus.read(DataSet.open(stripes_data), "train")
    manifest = json.loads((voted_data / "manifest.json").read_text())
    del manifest["splits"]["val"]["votes_file_sha256"]
    assert not ferplus.has_votes(DataSet(voted_data, manifest), "val")
    with pytest.raises(DataSetError, match="the val split has no votes"):
        ferplus.read(DataSet(voted_data, manifest), "val")


def test_damaged_votes_are_detected(voted_data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(voted_data, copy)
    path = copy / "train_votes_lmdb" / "data.mdb"
    path.write_bytes(path.read_bytes()[:-100] + b"x" * 100)
    with pytest.raises(DataSetError, match="damaged"):
        ferplus.read(DataSet.open(copy), "train")
