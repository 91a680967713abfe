"""Variants of one data set with different preprocessing; each model gets the faces that match its training.

Models trained with different preprocessing make different errors, so they are worth averaging or distilling. Their data
sets hold the same faces, matched by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import ALIGNMENTS
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import require_same
from prototxt_like.io.datum_store import SplitArrays, key_name


@dataclass(frozen=True)
class DataSetVariants:
    """Data sets with the same faces, each preprocessed differently.

    Attributes:
        sets: The data sets. The first one is the reference: its faces define order and labels.
    """

    sets: tuple[DataSet, ...]
    _arrays: dict[str, SplitArrays] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folders: Sequence[str | Path]) -> DataSetVariants:
        """Open data sets.

        Raises:
            DataSetError: If no folder is given, a data set is missing or damaged, or the label schemes differ.
        """
        if not folders:
            raise DataSetError("no data set given; pass at least one")
        return cls.of([DataSet.open(folder) for folder in folders])

    @classmethod
    def of(cls, sets: Sequence[DataSet], known: Mapping[str, SplitArrays] | None = None) -> DataSetVariants:
        """Combine open data sets.

        Args:
            sets: The data sets, the reference first.
            known: Splits of the reference that are in memory already, by name.

        Raises:
            DataSetError: If the label schemes differ.
        """
        for other in sets[1:]:
            require_same(
                other.scheme,
                sets[0].scheme,
                f"{other.folder} and {sets[0].folder} are not variants of one data set",
                "build both with the same --label-scheme",
            )
        return cls(tuple(sets), dict(known or {}))

    @property
    def reference(self) -> DataSet:
        """Data set that defines the order of the faces and their labels."""
        return self.sets[0]

    def matching(self, preprocessing: Preprocessing) -> DataSet:
        """Return the data set with a model's preprocessing, or the reference if there is none.

        A data set with this preprocessing only is preferred to one joined from several kinds.
        """
        fitting = [data for data in self.sets if not preprocessing.diff(data.preprocessing)]
        pure = [data for data in fitting if not data.has_mixed_preprocessing]
        return (pure or fitting or list(self.sets))[0]

    def read(self, split: str) -> SplitArrays:
        """Return a split of the reference; it is read once.

        Raises:
            DataSetError: If the split is missing or damaged.
        """
        if split not in self._arrays:
            self._arrays[split] = self.reference.read(split)
        return self._arrays[split]

    def images_for(self, preprocessing: Preprocessing, split: str) -> NDArray[np.uint8]:
        """Return the faces of a split from the variant that matches a preprocessing, in the order of the reference.

        Args:
            preprocessing: Preprocessing of the faces that a model was trained on.
            split: "train", "val" or "test".

        Returns:
            (N, C, H, W) uint8.

        Raises:
            DataSetError: If the split is missing or damaged in the variant, or holds different faces.
        """
        return self.images_of(self.matching(preprocessing), split)

    def aligned(self, align: str | None, preprocessing: Preprocessing) -> list[DataSet]:
        """Return the data sets whose probabilities are averaged.

        Args:
            align: "landmarks" for the first data set of detected faces aligned by landmarks, "box" for the first of
                others, "both" for the two; None for the one that matches a preprocessing.
            preprocessing: Preprocessing of the faces that a model was trained on.

        Raises:
            DataSetError: If there is no such data set.
        """
        if align is None:
            return [self.matching(preprocessing)]
        return [self._first(kind) for kind in (ALIGNMENTS if align == "both" else [align])]

    def _first(self, align: str) -> DataSet:
        for data in self.sets:
            own = data.preprocessing
            if (align == "landmarks") == (own.detector != "none" and own.align == "landmarks"):
                return data
        missing = {"landmarks": "faces aligned by landmarks", "box": "unaligned faces"}[align]
        folders = ", ".join(str(data.folder) for data in self.sets)
        options = "" if align == "landmarks" else " --detector none"
        raise DataSetError(
            f"no data set has {missing}: found {folders}; build one with: fer-lmdb build SOURCE{options}, and pass it "
            "with another --data"
        )

    def images_of(self, data: DataSet, split: str) -> NDArray[np.uint8]:
        """Return the faces of a split of one of the data sets, in the order of the reference.

        Args:
            data: One of `sets`.
            split: "train", "val" or "test".

        Returns:
            (N, C, H, W) uint8.

        Raises:
            DataSetError: If the split is missing or damaged, or holds different faces.
        """
        reference = self.read(split)
        if data is self.reference:
            return reference.images
        found = data.read(split)
        return found.images[match_by_name(found, reference, data.folder, self.reference.folder)]


def match_by_name(found: SplitArrays, reference: SplitArrays, folder: Path, first: Path) -> NDArray[np.int64]:
    """Return the positions of the reference's faces in another split, by name.

    Args:
        found: The split to search.
        reference: The faces to search for; names may repeat.
        folder: Data set of `found`, for messages.
        first: Data set of `reference`, for messages.

    Returns:
        (N,) positions in `found`, one for each face of `reference`.

    Raises:
        DataSetError: If a face is missing, occurs more than once or has a different label.
    """
    position = {key_name(key): number for number, key in enumerate(found.keys)}
    context = f"{folder} is not a variant of {first}"
    if len(position) < len(found.keys):
        repeated = len(found.keys) - len(position)
        raise DataSetError(f"{context}: {repeated} names occur more than once; pass the data sets it was joined from")
    names = [key_name(key) for key in reference.keys]
    if missing := [name for name in names if name not in position]:
        raise DataSetError(f"{context}: {len(missing)} of {len(names)} faces are missing, e.g. {missing[0]}")
    order = np.array([position[name] for name in names], dtype=np.int64)
    if (odd := np.flatnonzero(found.labels[order] != reference.labels)).size:
        example = names[odd[0]]
        raise DataSetError(f"{context}: {odd.size} of {len(names)} faces have different labels, e.g. {example}")
    return order
