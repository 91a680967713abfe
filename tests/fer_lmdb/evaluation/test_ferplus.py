from __future__ import annotations

import csv

import numpy as np
import pytest

from fer_lmdb.data.sources.ferplus import VOTE_COLUMNS
from fer_lmdb.evaluation.ferplus import compute_ferplus_metrics

VOTES = np.array(
    [
        [6, 1, 1, 1, 1, 0, 0, 0, 0, 0],  # majority after removing single votes
        [5, 3, 0, 0, 0, 0, 0, 0, 2, 0],  # plurality, no majority
        [0, 0, 0, 0, 0, 0, 0, 6, 0, 4],  # contempt
        [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],  # unknown
    ],
    dtype=np.float32,
)


def test_accuracy_under_each_protocol():
    labels = np.array([0, 0, 7, 0])
    probabilities = np.eye(8, dtype=np.float32)[[0, 1, 7, 0]]
    found = compute_ferplus_metrics(probabilities, labels, VOTES)
    assert {rule: (metrics["n"], metrics["accuracy"]) for rule, metrics in found.items()} == {
        "majority without contempt": (1, 1.0),
        "majority": (2, 1.0),
        "argmax": (3, pytest.approx(2 / 3)),
        "all": (4, pytest.approx(3 / 4)),
    }


def test_counts_match_published_protocols(shared):
    """3,137 and 3,573 as published; the published 3,545 is 3,546 by the votes."""
    with (shared / "fer2013" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["usage"] == "PrivateTest"]
    votes = np.array([[int(row[name]) for name in VOTE_COLUMNS] for row in rows], dtype=np.float32)
    votes = votes[votes[:, :8].any(axis=1)]  # the faces in a FER+ data set
    labels = votes[:, :8].argmax(axis=1)
    found = compute_ferplus_metrics(np.eye(8, dtype=np.float32)[labels], labels, votes)
    assert [metrics["n"] for metrics in found.values()] == [3137, 3153, 3546, 3573]
