"""Exchanged classes are found by FER+'s votes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.sources.label_check import LabelCheck
from fer_lmdb.labels import FER2013

VOTE_OF = [4, 5, 6, 1, 3, 2, 0]
"""Position in FER+'s order of each FER2013 class."""


def vote(label: int) -> tuple[int, ...]:
    votes = [0] * 10
    votes[VOTE_OF[label]] = 9
    return tuple(votes)


def noisy_faces(count: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return labels and votes; two in five votes are for another class."""
    random = np.random.default_rng(0)
    labels = random.integers(7, size=count)
    voted = np.where(random.random(count) < 0.4, random.integers(7, size=count), labels)
    return [(int(label), vote(int(other))) for label, other in zip(labels, voted, strict=True)]


def exchanged(faces: list[tuple[int, tuple[int, ...]]], label_of: list[int]) -> dict[str, str]:
    check = LabelCheck(FER2013.classes)
    for label, votes in faces:
        check.add(label_of[label], votes)
    return check.exchanged()


def test_noisy_labels_fit() -> None:
    assert exchanged(noisy_faces(700), [0, 1, 2, 3, 4, 5, 6]) == {}


def test_two_exchanged_classes() -> None:
    assert exchanged(noisy_faces(700), [0, 1, 2, 4, 3, 5, 6]) == {"happy": "sad", "sad": "happy"}


def test_another_order_of_all_classes() -> None:
    affectnet = [6, 5, 4, 1, 2, 3, 0]
    found = exchanged(noisy_faces(700), affectnet)
    assert found == {FER2013.classes[number]: FER2013.classes[label] for label, number in enumerate(affectnet)}


def test_few_faces_are_no_proof() -> None:
    assert exchanged([(0, vote(1)), (1, vote(0))], [0, 1, 2, 3, 4, 5, 6]) == {}


def test_faces_without_a_vote_for_an_expression_are_ignored() -> None:
    check = LabelCheck(FER2013.classes)
    check.add(0, (0,) * 8 + (5, 5))
    assert check.faces == 0
    assert check.exchanged() == {}


@pytest.mark.parametrize("pair", [None, (0, 1), (2, 5), (4, 6)])
def test_fer2013(shared: Path, pair: tuple[int, int] | None) -> None:
    with (shared / "fer2013" / "labels.csv").open(newline="") as file:
        rows = [(int(row["emotion"]), tuple(map(int, list(row.values())[5:]))) for row in csv.DictReader(file)]
    label_of = list(range(7))
    if pair is not None:
        label_of[pair[0]], label_of[pair[1]] = pair[1], pair[0]
    names = [] if pair is None else [FER2013.classes[label] for label in pair]
    assert exchanged(rows, label_of) == dict(zip(names, reversed(names), strict=True))
