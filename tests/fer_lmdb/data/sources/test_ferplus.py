"""FER+ votes: joined by row or name, and the evaluation protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.sources.ferplus import FerPlusSource, majority_label, protocols, read_votes
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
VOTES = (
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\n"
    "PublicTest,fer0028638.png,0,8,1,0,0,0,0,0,1,0\n"
    "PrivateTest,,0,0,0,0,0,0,0,0,0,10\n"
)


class Three:
    name = "three"
    classes = FER2013.classes
    names = ("/train/0/00000.png", "/val/3/00001.png", "/test/6/00002.png")

    def __iter__(self) -> Iterator[Sample]:
        for row, (split, label) in enumerate([("train", 0), ("val", 3), ("test", 6)]):
            yield Sample(self.names[row], split, label, np.zeros((48, 48), np.uint8), f"three:{row}", row)

    def size_hint(self) -> int:
        return 3

    def sha256(self) -> str:
        return "3"


def votes_file(folder: Path, rows: str = VOTES, header: str = HEADER) -> Path:
    (folder / "fer2013new.csv").write_text(header + rows)
    return folder / "fer2013new.csv"


def test_votes_are_joined_by_row(tmp_path: Path) -> None:
    source = FerPlusSource(Three(), read_votes(votes_file(tmp_path)))
    assert [sample.votes for sample in source] == [
        (4, 0, 0, 1, 3, 2, 0, 0, 0, 0),
        (0, 8, 1, 0, 0, 0, 0, 0, 1, 0),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
    ]
    assert [sample.label for sample in source] == [0, 3, 6]
    assert source.classes == FER2013.classes


def test_votes_set_the_labels(tmp_path: Path) -> None:
    source = FerPlusSource(Three(), read_votes(votes_file(tmp_path)), relabel=True)
    assert source.classes == FERPLUS.classes
    assert [sample.label for sample in source] == [0, 1, None]


def test_votes_are_joined_by_name(tmp_path: Path) -> None:
    source = Three()
    source.names = ("/train/x/fer0000000.png", "/val/x/fer0028638.png", "/test/x/other.png")
    first, second, third = FerPlusSource(source, read_votes(votes_file(tmp_path)), by_name=True)
    assert (first.votes[0], second.votes[1]) == (4, 8)
    assert isinstance(third, InvalidSample)


def test_a_different_number_of_rows(tmp_path: Path) -> None:
    votes = read_votes(votes_file(tmp_path, VOTES + "PrivateTest,x,0,0,0,0,0,0,0,0,0,10\n"))
    with pytest.raises(SourceError, match="three has 3 rows, FER\\+'s csv 4"):
        list(FerPlusSource(Three(), votes))


def test_rows_of_different_splits(tmp_path: Path) -> None:
    votes = read_votes(votes_file(tmp_path, VOTES.replace("PublicTest", "Training")))
    with pytest.raises(SourceError, match="three:1 belongs to val, FER\\+'s row 1 to train"):
        list(FerPlusSource(Three(), votes))


@pytest.mark.parametrize("row", ["Training,a,1,2\n", "Nothing,a" + ",1" * 10 + "\n", "Training,a" + ",x" * 10 + "\n"])
def test_an_invalid_row(tmp_path: Path, row: str) -> None:
    with pytest.raises(SourceError, match=r"fer2013new.csv:5 is not a row of FER"):
        read_votes(votes_file(tmp_path, VOTES + row))


def test_a_negative_vote(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="negative number of votes"):
        read_votes(votes_file(tmp_path, "Training,a" + ",-1" * 10 + "\n"))


def test_another_csv(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r":1: no column .*contempt"):
        read_votes(votes_file(tmp_path, header="emotion,pixels,Usage\n"))


def test_label_of_votes() -> None:
    assert majority_label((0, 0, 5, 0, 0, 0, 5, 0, 0, 0)) == 2
    assert majority_label((0, 0, 0, 0, 0, 0, 0, 1, 4, 5)) == 7
    assert majority_label((0, 0, 0, 0, 0, 0, 0, 0, 4, 6)) is None


def test_protocols() -> None:
    votes = np.array(
        [
            [6, 1, 1, 1, 1, 0, 0, 0, 0, 0],  # 6 of 6 without single votes
            [5, 5, 0, 0, 0, 0, 0, 0, 0, 0],  # no majority
            [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],  # unknown
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # not a face
            [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],  # only single votes
        ]
    )
    masks = {name: mask.tolist() for name, mask in protocols(votes).items()}
    assert masks == {
        "majority": [True, False, False, False, False],
        "argmax": [True, True, False, False, True],
        "all": [True, True, True, False, True],
    }


def test_counts_of_the_published_votes(shared: Path) -> None:
    """The published 3,137 are the majority faces without contempt."""
    import csv

    with (shared / "fer2013" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["usage"] == "PrivateTest"]
    votes = np.array([[int(row[column]) for column in (*FERPLUS.classes, "unknown", "nf")] for row in rows])
    masks = protocols(votes)
    labels = votes[:, :8].argmax(axis=1)
    assert masks["majority"].sum() == 3153
    assert (masks["majority"] & (labels != FERPLUS.classes.index("contempt"))).sum() == 3137
    assert masks["argmax"].sum() == 3546
    assert masks["all"].sum() == 3573
