"""The same faces, prepared in several ways: as they are, turned upright, framed closer. Every model looks at its kind.

A net knows the kind of face that it was trained on. Nets trained on different kinds make different mistakes, and so
they are worth averaging, or learning from; for that the faces of their data sets are matched by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays, key_name
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import explain_mismatch

#: Gives (N, classes) float32 for faces, (N, 1, H, W) uint8.
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class DataSetVariants:
    """Data sets that hold the same faces, each prepared in its own way; figures are those of the first one's faces."""

    sets: tuple[DataSet, ...]

    @classmethod
    def open(cls, folders: Sequence[str | Path]) -> DataSetVariants:
        """Open data sets.

        Raises:
            DataSetError: none is named, one is missing or damaged, or their labels do not mean the same.
        """
        if not folders:
            raise DataSetError("no data set is named; name at least one")
        return cls.of([DataSet.open(folder) for folder in folders])

    @classmethod
    def of(cls, sets: Sequence[DataSet]) -> DataSetVariants:
        """Make sure that the labels of data sets mean the same.

        Raises:
            DataSetError: they do not.
        """
        for other in sets[1:]:
            if why := explain_mismatch(other.scheme, sets[0].scheme):
                raise DataSetError(f"{other.folder} and {sets[0].folder} are no preparations of the same faces: {why}")
        return cls(tuple(sets))

    @property
    def first(self) -> DataSet:
        """Return the data set whose faces are counted."""
        return self.sets[0]

    def matching(self, preprocessing: Preprocessing) -> DataSet:
        """Return the data set whose faces are of the kind that a model knows; the first one where none is.

        One of that kind alone goes before one that was joined from several kinds.
        """
        fitting = [data for data in self.sets if not preprocessing.diff(data.preprocessing)]
        pure = [data for data in fitting if not data.has_mixed_preprocessing]
        return (pure or fitting or list(self.sets))[0]

    def read(self, split: str, reference: SplitArrays | None = None) -> SplitVariants:
        """Read a split of the first data set, and make the others' ready.

        Args:
            split: train, val or test.
            reference: what the first one holds, where it is known already.
        Raises:
            DataSetError: the split is missing or damaged.
        """
        return SplitVariants(self, split, reference or self.first.read(split))


@dataclass(frozen=True)
class SplitVariants:
    """A split of data sets with the same faces; those of another kind are read when a model asks for them.

    Attributes:
        variants: the data sets.
        split: train, val or test.
        reference: the first data set's faces.
    """

    variants: DataSetVariants
    split: str
    reference: SplitArrays

    def predict(self, preprocessing: Preprocessing, predictor: Predictor) -> NDArray[np.float32]:
        """Return what a model says of the faces as it knows them.

        Args:
            preprocessing: Preprocessing of the faces that the model was trained on.
            predictor: how it looks.
        Returns:
            a row for each of `reference`; a face that is counted twice is looked at once.
        Raises:
            DataSetError: the split is missing or damaged where they are, or its faces are others.
        """
        data, first = self.variants.matching(preprocessing), self.variants.first
        if data is first:
            return predictor(self.reference.images)
        found = data.read(self.split)
        wanted, rows = np.unique(match_by_name(found, self.reference, data.folder, first.folder), return_inverse=True)
        return predictor(found.images[wanted])[rows]


def match_by_name(found: SplitArrays, reference: SplitArrays, folder: Path, first: Path) -> NDArray[np.int64]:
    """Return where the faces of one split lie in another, by name.

    Args:
        found: the faces to look among.
        reference: the faces to look for; a name may appear more than once.
        folder: where `found` comes from, for messages.
        first: where `reference` comes from, for messages.
    Returns:
        for each of `reference` its place in `found`.
    Raises:
        DataSetError: a face is missing, found twice, or has another label.
    """
    place = {key_name(key): number for number, key in enumerate(found.keys)}
    told = f"{folder} is no other preparation of the faces of {first}"
    if len(place) < len(found.keys):
        raise DataSetError(f"{told}: it holds {len(found.keys) - len(place)} names more than once; name its parts")
    names = [key_name(key) for key in reference.keys]
    if missing := [name for name in names if name not in place]:
        raise DataSetError(f"{told}: {len(missing)} of {len(names)} are not in it, as {missing[0]}")
    order = np.array([place[name] for name in names], dtype=np.int64)
    if (odd := np.flatnonzero(found.labels[order] != reference.labels)).size:
        raise DataSetError(f"{told}: {odd.size} of {len(names)} have another label there, as {names[odd[0]]}")
    return order
