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

from fer_lmdb.dataset import DataSet
from fer_lmdb.errors import DataSetError
from fer_lmdb.labels import difference
from fer_lmdb.models import Model
from fer_lmdb.store import Split, name_of

#: Gives (N, classes) float32 for faces, (N, 1, H, W) uint8.
Look = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Preparations:
    """Data sets that hold the same faces, each prepared in its own way; figures are those of the first one's faces."""

    sets: tuple[DataSet, ...]

    @classmethod
    def open(cls, folders: Sequence[str | Path]) -> Preparations:
        """Open data sets.

        Raises:
            DataSetError: none is named, one is missing or damaged, or their labels do not mean the same.
        """
        if not folders:
            raise DataSetError("no data set is named; name at least one")
        return cls.of([DataSet.open(folder) for folder in folders])

    @classmethod
    def of(cls, sets: Sequence[DataSet]) -> Preparations:
        """Make sure that the labels of data sets mean the same.

        Raises:
            DataSetError: they do not.
        """
        for other in sets[1:]:
            if why := difference(other.scheme, sets[0].scheme):
                raise DataSetError(f"{other.folder} and {sets[0].folder} are no preparations of the same faces: {why}")
        return cls(tuple(sets))

    @property
    def first(self) -> DataSet:
        """Return the data set whose faces are counted."""
        return self.sets[0]

    def suited_to(self, model: Model) -> DataSet:
        """Return the data set whose faces are of the kind that a model knows; the first one where none is.

        One of that kind alone goes before one that was joined from several kinds.
        """
        fitting = [data for data in self.sets if not model.preprocessing.differences(data.preprocessing)]
        pure = [data for data in fitting if not data.is_mixed]
        return (pure or fitting or list(self.sets))[0]

    def read(self, split: str, counted: Split | None = None) -> Faces:
        """Read a split of the first data set, and make the others' ready.

        Args:
            split: train, val or test.
            counted: what the first one holds, where it is known already.
        Raises:
            DataSetError: the split is missing or damaged.
        """
        return Faces(self, split, counted or self.first.read(split))


@dataclass(frozen=True)
class Faces:
    """A split of data sets with the same faces; those of another kind are read when a model asks for them.

    Attributes:
        preparations: the data sets.
        split: train, val or test.
        counted: the first data set's faces.
    """

    preparations: Preparations
    split: str
    counted: Split

    def ask(self, model: Model, look: Look) -> NDArray[np.float32]:
        """Return what a model says of the faces as it knows them.

        Args:
            model: says which kind of face that is.
            look: how it looks.
        Returns:
            a row for each of `counted`; a face that is counted twice is looked at once.
        Raises:
            DataSetError: the split is missing or damaged where they are, or its faces are others.
        """
        data, first = self.preparations.suited_to(model), self.preparations.first
        if data is first:
            return look(self.counted.images)
        found = data.read(self.split)
        wanted, rows = np.unique(matched(found, self.counted, data.folder, first.folder), return_inverse=True)
        return look(found.images[wanted])[rows]


def matched(found: Split, counted: Split, folder: Path, first: Path) -> NDArray[np.int64]:
    """Return where the faces of one split lie in another, by name.

    Args:
        found: the faces to look among.
        counted: the faces to look for; a name may appear more than once.
        folder: where `found` comes from, for messages.
        first: where `counted` comes from, for messages.
    Returns:
        for each of `counted` its place in `found`.
    Raises:
        DataSetError: a face is missing, found twice, or has another label.
    """
    place = {name_of(key): number for number, key in enumerate(found.keys)}
    told = f"{folder} is no other preparation of the faces of {first}"
    if len(place) < len(found.keys):
        raise DataSetError(f"{told}: it holds {len(found.keys) - len(place)} names more than once; name its parts")
    names = [name_of(key) for key in counted.keys]
    if missing := [name for name in names if name not in place]:
        raise DataSetError(f"{told}: {len(missing)} of {len(names)} are not in it, as {missing[0]}")
    order = np.array([place[name] for name in names], dtype=np.int64)
    if (odd := np.flatnonzero(found.labels[order] != counted.labels)).size:
        raise DataSetError(f"{told}: {odd.size} of {len(names)} have another label there, as {names[odd[0]]}")
    return order
