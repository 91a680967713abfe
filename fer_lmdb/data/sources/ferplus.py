"""FER+: ten people's votes for every face of FER2013, joined onto its pictures.

Votes stand in the order neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face.
The csv has no number of its own: its row k speaks of row k of fer2013.csv, or of the file named in it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources import InvalidSample, Sample, Source
from fer_lmdb.data.sources.fer2013 import SPLIT_OF_USAGE
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FERPLUS

VOTE_COLUMNS = (*FERPLUS.classes, "unknown", "nf")


@dataclass(frozen=True)
class VoteRow:
    """One row of fer2013new.csv.

    Attributes:
        split: "train", "val" or "test".
        name: the picture's file name; empty where FER+ saw no face.
        votes: ten counts.
    """

    split: str
    name: str
    votes: tuple[int, ...]


class FerPlusSource:
    """A source whose pictures carry their votes.

    Args:
        source: FER2013's csv, or folders with FER+'s pictures (``fer0000000.png``).
        votes: the rows of fer2013new.csv.
        by_name: join by the name of the picture's file instead of by the row.
        relabel: replace the labels by FER+'s: the expression with the most votes; none where nobody saw one.
    """

    def __init__(self, source: Source, votes: list[VoteRow], *, by_name: bool = False, relabel: bool = False) -> None:
        self.source = source
        self.name = source.name
        self.classes = FERPLUS.classes if relabel else source.classes
        self._votes = votes
        self._by_name = {row.name: row for row in votes if row.name} if by_name else None
        self._relabel = relabel

    def size_hint(self) -> int | None:
        """Return the source's."""
        return self.source.size_hint()

    def sha256(self) -> str:
        """Return the source's."""
        return self.source.sha256()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        read = 0
        for item in self.source:
            read += 1
            yield self._join(item) if isinstance(item, Sample) else item
        if self._by_name is None and read != len(self._votes):
            raise SourceError(
                f"{self.name} has {read:,} rows and FER+'s csv {len(self._votes):,}; the two do not belong together"
            )

    def _join(self, sample: Sample) -> Sample | InvalidSample:
        row = self._find(sample)
        if row is None:
            return InvalidSample(sample.location, "FER+'s csv has no row for this picture", sample.split)
        if row.split != sample.split:
            raise SourceError(
                f"{sample.location} belongs to {sample.split}, FER+'s row {sample.row} to {row.split};"
                " the two files do not belong together"
            )
        label = majority_label(row.votes) if self._relabel else sample.label
        return replace(sample, votes=row.votes, label=label)

    def _find(self, sample: Sample) -> VoteRow | None:
        if self._by_name is not None:
            return self._by_name.get(PurePosixPath(sample.name).name)
        return self._votes[sample.row] if sample.row < len(self._votes) else None


def read_votes(path: Path) -> list[VoteRow]:
    """Read fer2013new.csv.

    Raises:
        SourceError: it is missing, has other columns, or a row cannot be used.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            reader = csv.reader(file, strict=True)
            columns = _find_columns(next(reader, []), path)
            return [_parse_row(fields, columns, f"{path}:{reader.line_num}") for fields in reader if fields]
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    except csv.Error as error:
        raise SourceError(f"{path} is damaged: {error}") from None


def majority_label(votes: tuple[int, ...]) -> int | None:
    """Return the expression with the most votes (of a tie the first), None where nobody saw one."""
    expressions = votes[: len(FERPLUS)]
    return expressions.index(max(expressions)) if any(expressions) else None


def protocols(votes: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Tell which faces count under each of the rules by which figures on FER+ are given.

    Args:
        votes: (N, 10).
    Returns:
        (N,) masks. "majority": without single votes, one expression has more than half of them. "argmax": no other
        answer has more votes than an expression. "all": somebody saw an expression.
    Source: E. Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label
        distribution, 2016. In the test split these are 3,153, 3,546 and 3,573 faces; the literature's "majority" of
        3,137 leaves contempt out as well.
    """
    count = len(FERPLUS)
    agreed = np.where(votes < 2, 0, votes)
    most = agreed[:, :count].max(axis=1)
    return {
        "majority": most > 0.5 * agreed.sum(axis=1),
        "argmax": votes.argmax(axis=1) < count,
        "all": votes[:, :count].any(axis=1),
    }


def _find_columns(header: list[str], path: Path) -> tuple[int, int, list[int]]:
    names = [name.strip().lower() for name in header]
    missing = {"usage", "image name", *VOTE_COLUMNS} - set(names)
    if missing:
        raise SourceError(
            f"{path}:1: no column {', '.join(sorted(missing))}; expected fer2013new.csv of FER+"
            " (Usage, Image name, neutral, happiness, ...)"
        )
    return names.index("usage"), names.index("image name"), [names.index(column) for column in VOTE_COLUMNS]


def _parse_row(fields: list[str], columns: tuple[int, int, list[int]], where: str) -> VoteRow:
    usage, name, places = columns
    try:
        votes = tuple(int(fields[place]) for place in places)
        split = SPLIT_OF_USAGE[fields[usage].strip()]
    except (ValueError, KeyError, IndexError):
        raise SourceError(f"{where} is no row of FER+: expected a usage, a name and ten whole numbers") from None
    if min(votes) < 0:
        raise SourceError(f"{where} has a negative number of votes")
    return VoteRow(split, fields[name].strip(), votes)
