"""A built data set: three databases, the mean image and the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.data.lmdb_store import LmdbFaces, SplitArrays, read_labels, read_split
from fer_lmdb.data.manifest import MEAN_NAME, Shard, read_manifest, shards, verify_sha256
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import LabelScheme

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataSet:
    """The folder that `fer-lmdb build` writes."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> DataSet:
        """Read a data set's manifest.

        Raises:
            DataSetError: there is no data set, or its manifest is damaged.
        """
        folder = Path(folder)
        return cls(folder, read_manifest(folder))

    @property
    def scheme(self) -> LabelScheme:
        """Return the label scheme that the labels follow."""
        return LabelScheme(self.manifest.get("scheme", "custom"), tuple(self.manifest["classes"]))

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how the pictures became faces."""
        return Preprocessing.from_dict(self.manifest.get("preprocessing") or {"detector": "none"})

    @property
    def has_mixed_preprocessing(self) -> bool:
        """Tell whether it was joined from data sets whose faces were prepared in different ways."""
        ways = _preprocessings(self.manifest.get("source", {}))
        return any(Preprocessing.from_dict(way).diff(self.preprocessing) for way in ways)

    def count(self, split: str) -> int:
        """Return how many faces a split holds by the manifest."""
        return int(self.manifest["splits"].get(split, {}).get("count", 0))

    def read(self, split: str) -> SplitArrays:
        """Read a split whole, after its file has been compared with the manifest: a damaged one could kill the reader.

        Raises:
            DataSetError: the split is missing, damaged or does not hold what the manifest says.
        """
        found = []
        for part in self._shards(split):
            part.verify()
            found.append(read_split(part.path))
            _check_count(part, len(found[-1].labels))
        return _joined(found, self.folder)

    def lmdb_faces(self, splits: Sequence[str]) -> LmdbFaces:
        """Return the faces of splits, one after the other, to be read by their position; call `labels` before.

        Raises:
            DataSetError: a split is missing.
        """
        return LmdbFaces([(part.path, part.count) for split in splits for part in self._shards(split)])

    def labels(self, splits: Sequence[str]) -> NDArray[np.int64]:
        """Return the labels of splits, after their files have been compared with the manifest.

        Raises:
            DataSetError: a split is missing, damaged or does not hold what the manifest says.
            StoreError: its faces cannot be found by their position.
        """
        labels = []
        for part in (part for split in splits for part in self._shards(split)):
            part.verify()
            labels.append(read_labels(part.path))
            _check_count(part, len(labels[-1]))
        return np.concatenate(labels)

    def _shards(self, split: str) -> list[Shard]:
        """Return the databases of a split, in order."""
        if not self._has(split):
            raise DataSetError(f"{self.folder}: this data set has no {split} split; it has {self._split_names()}")
        return shards(self.folder, self.manifest, split)

    def _has(self, split: str) -> bool:
        if split not in self.manifest["splits"]:
            return False
        return any(part.path.is_dir() for part in shards(self.folder, self.manifest, split))

    def _split_names(self) -> str:
        return ", ".join(name for name in SPLITS if self._has(name)) or "none"

    def mean(self) -> np.ndarray:
        """Return the training split's mean image, (1, H, W) float32 in 0-255.

        Raises:
            DataSetError: it is missing or damaged.
        """
        verify_sha256(self.folder / MEAN_NAME, self.manifest["mean"].get("sha256", ""))
        return pl.read_mean(self.folder / MEAN_NAME)

    def fingerprint(self) -> dict[str, Any]:
        """Return what a model should remember of its data."""
        splits = self.manifest["splits"]
        return {
            "source": self.manifest.get("source", {}),
            "counts": {name: self.count(name) for name in splits},
            "sha256": {name: splits[name].get("sha256") for name in splits},
            "seed": self.manifest.get("seed"),
            "opencv": self.manifest.get("opencv"),
        }


def check_same_data(data: DataSet, recorded: Mapping[str, Any], remedy: str) -> None:
    """Compare a data set with the fingerprint that a run recorded.

    Args:
        data: The data set that was found.
        recorded: `DataSet.fingerprint` of the data set that the run was trained on.
        remedy: What to do if they differ, in the imperative.

    Raises:
        DataSetError: If the faces or labels differ.
    """
    if data.fingerprint()["sha256"] != recorded.get("sha256"):
        raise DataSetError(f"{data.folder} is not the data set this run was trained on (its faces differ); {remedy}")


def _preprocessings(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield how the faces of joined data sets were prepared, also of those that were joined themselves."""
    for part in source.get("joined", []):
        yield part["preprocessing"]
        yield from _preprocessings(part.get("source", {}))


def _joined(found: Sequence[SplitArrays], folder: Path) -> SplitArrays:
    """Return the faces of databases as those of a single one."""
    if len(found) == 1:
        return found[0]
    if len({part.images.shape[1:] for part in found}) > 1:
        raise DataSetError(f"{folder}: the shards of a split hold faces of different sizes; build the data set again")
    keys = [key for part in found for key in part.keys]
    return SplitArrays(
        keys, np.concatenate([part.images for part in found]), np.concatenate([part.labels for part in found])
    )


def _check_count(part: Shard, found: int) -> None:
    if found != part.count:
        raise DataSetError(f"{part.path}: holds {found} faces, the manifest says {part.count}; build it again")
