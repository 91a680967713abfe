"""FER+: votes of ten annotators for each face of FER2013, joined to the samples of another source.

The order of the votes is neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face.
Row k of the csv belongs to row k of fer2013.csv, or to the image file that it names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources import InvalidSample, Sample, Source, numbering
from fer_lmdb.data.sources.fer2013 import SPLIT_OF_USAGE
from fer_lmdb.data.sources.label_check import LabelCheck
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FERPLUS, LabelOrder

VOTE_COLUMNS = (*FERPLUS.classes, "unknown", "nf")


@dataclass(frozen=True)
class VoteRow:
    """One row of fer2013new.csv.

    Attributes:
        split: "train", "val" or "test".
        name: File name of the image; empty for images that FER+ excludes as not a face.
        votes: Ten counts.
    """

    split: str
    name: str
    votes: tuple[int, ...]


class FerPlusSource:
    """Source that adds votes to the samples of another source.

    Args:
        source: FER2013's csv, or a folder with FER+'s images (``fer0000000.png``).
        votes: Rows of fer2013new.csv.
        by_name: Join by file name instead of by row.
        relabel: Replace the labels by the expressions with the most votes; None if there is no vote for an expression.

    Attributes:
        label_check: Comparison of the source's labels with the votes; complete after the iteration.
    """

    def __init__(self, source: Source, votes: list[VoteRow], *, by_name: bool = False, relabel: bool = False) -> None:
        self.source = source
        self.name = source.name
        self.classes = FERPLUS.classes if relabel else source.classes
        self._votes = votes
        self._by_name = {row.name: row for row in votes if row.name} if by_name else None
        self._relabel = relabel
        self.label_check = LabelCheck(source.classes)

    @property
    def label_order(self) -> LabelOrder | None:
        """Meaning of the numbers in the names of the samples."""
        return numbering(self.source)

    def size_hint(self) -> int | None:
        """Return the size hint of the joined source."""
        return self.source.size_hint()

    def sha256(self) -> str:
        """Return the digest of the joined source."""
        return self.source.sha256()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        read = 0
        self.label_check = LabelCheck(self.source.classes)
        for item in self.source:
            read += 1
            yield self._join(item) if isinstance(item, Sample) else item
        if self._by_name is None and read != len(self._votes):
            raise SourceError(
                f"{self.name} has {read:,} rows, FER+'s csv {len(self._votes):,}; use the two files of one release"
            )

    def _join(self, sample: Sample) -> Sample | InvalidSample:
        row = self._find(sample)
        if row is None:
            return InvalidSample(sample.location, "FER+'s csv has no row for this image", sample.split)
        if not sample.split:  # FER+'s csv contains the split
            return self._joined(replace(sample, split=row.split, name=f"/{row.split}/{sample.name[2:]}"), row)
        if row.split != sample.split:
            raise SourceError(
                f"{sample.location} belongs to {sample.split}, FER+'s row {sample.row} to {row.split};"
                " use the two files of one release"
            )
        return self._joined(sample, row)

    def _joined(self, sample: Sample, row: VoteRow) -> Sample:
        if sample.label is not None:
            self.label_check.add(sample.label, row.votes)
        label = majority_label(row.votes) if self._relabel else sample.label
        return replace(sample, votes=row.votes, label=label)

    def _find(self, sample: Sample) -> VoteRow | None:
        if self._by_name is not None:
            return self._by_name.get(PurePosixPath(sample.name).name)
        return self._votes[sample.row] if sample.row < len(self._votes) else None


def read_votes(path: Path) -> list[VoteRow]:
    """Read fer2013new.csv.

    Raises:
        SourceError: If the file is missing, has other columns or an invalid row.
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
    """Return the expression with the most votes (the first of a tie), or None if there is no vote for an expression."""
    expressions = votes[: len(FERPLUS)]
    return expressions.index(max(expressions)) if any(expressions) else None


def protocols(votes: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Return which faces are evaluated under each published FER+ protocol.

    Args:
        votes: (N, 10) counts.

    Returns:
        (N,) masks. "majority": one expression has more than half of the votes, ignoring single votes. "argmax": an
        expression has the most votes. "all": at least one vote is for an expression.

    Source: E. Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label
        distribution, 2016. In the test split these are 3,153, 3,546 and 3,573 faces; the published "majority"
        of 3,137 also excludes contempt.
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


def _parse_row(fields: list[str], columns: tuple[int, int, list[int]], location: str) -> VoteRow:
    usage, name, vote_columns = columns
    try:
        votes = tuple(int(fields[column]) for column in vote_columns)
        split = SPLIT_OF_USAGE[fields[usage].strip()]
    except (ValueError, KeyError, IndexError):
        raise SourceError(f"{location} is not a row of FER+; expected a usage, a name and ten integers") from None
    if min(votes) < 0:
        raise SourceError(f"{location} has a negative number of votes; use the original fer2013new.csv")
    return VoteRow(split, fields[name].strip(), votes)
