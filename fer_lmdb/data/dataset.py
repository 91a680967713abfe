"""Data set: databases, mean image and manifest of one folder."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.choices import SPLITS
from fer_lmdb.data.caffe_folder import is_caffe_location
from fer_lmdb.data.caffe_manifest import compute_mean, read_caffe_manifest
from fer_lmdb.data.manifest import MEAN_NAME, Shard, read_manifest, shards, verify_sha256
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import LabelOrder, LabelScheme, require_same, scheme_of
from prototxt_like.io.datum_store import LmdbFaces, SplitArrays, read_labels, read_split

if TYPE_CHECKING:
    from fer_lmdb.data.torch_dataset import FaceDataset


@dataclass(frozen=True)
class DataSet:
    """Folder written by ``fer-lmdb build`` or ``fer-lmdb join``.

    Attributes:
        folder: Path of the folder.
        manifest: Contents of manifest.json.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(
        cls,
        folder: str | Path,
        labels: str | LabelOrder | LabelScheme | None = None,
        assumed: LabelScheme | None = None,
    ) -> DataSet:
        """Open a data set.

        A folder of databases without a manifest, as Caffe's tools write it, is read and checked once.

        Args:
            folder: Folder of a data set, or of databases that Caffe's tools wrote; or these databases, named as
                ``train=A,val=B,mean=M.binaryproto``.
            labels: Class names in label order, see `fer_lmdb.labels.scheme_of`; None for those of
                the manifest.
            assumed: Classes of databases without a manifest if `labels` is None.

        Raises:
            DataSetError: If the folder is not a data set, its manifest is damaged, or class names are missing or do not
                match.
            StoreError, FileError: If a file of Caffe's tools is damaged.
        """
        scheme = None if labels is None else scheme_of(labels)
        if not is_caffe_location(folder):
            data = cls(Path(folder), read_manifest(Path(folder)))
            if scheme is not None:
                require_same(data.scheme, scheme, f"{folder} has other classes than --labels", "remove --labels")
            return data
        return cls(Path(folder), read_caffe_manifest(str(folder), scheme, assumed))

    @property
    def scheme(self) -> LabelScheme:
        """Label scheme."""
        return LabelScheme(self.manifest.get("scheme", "custom"), tuple(self.manifest["classes"]))

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of the faces; for a joined data set that of the first one."""
        return Preprocessing.from_dict(self.manifest.get("preprocessing") or {"detector": "none"})

    @property
    def channels(self) -> int:
        """Channels of the images: 1 for gray, 3 for color (blue, green, red)."""
        return int(self.manifest.get("channels", 1))

    @property
    def has_mixed_preprocessing(self) -> bool:
        """Whether it was joined from data sets with different preprocessing."""
        settings = _preprocessings(self.manifest.get("source", {}))
        return any(Preprocessing.from_dict(each).diff(self.preprocessing) for each in settings)

    def count(self, split: str) -> int:
        """Return the number of faces in a split according to the manifest; 0 if there is no such split."""
        return int(self.manifest["splits"].get(split, {}).get("count", 0))

    def read(self, split: str) -> SplitArrays:
        """Read a split into memory after verifying its files, since LMDB may crash on a damaged file.

        Raises:
            DataSetError: If the split is missing or damaged.
        """
        found = []
        for shard in self._shards(split):
            shard.verify()
            found.append(read_split(shard.path))
            _check_count(shard, len(found[-1].labels))
        return _concatenate(found, self.folder)

    def as_torch(self, split: str, transform: Callable[[Any], Any] | None = None) -> FaceDataset:
        """Return a split as a map-style PyTorch dataset of (image, label) pairs, for `torch.utils.data.DataLoader`.

        Args:
            split: "train", "val" or "test".
            transform: Applied to each image, a (C, H, W) uint8 tensor.

        Raises:
            DataSetError: If the split is missing or damaged.
        """
        from fer_lmdb.data.torch_dataset import FaceDataset

        return FaceDataset(self.lmdb_faces([split]), self.labels([split]), transform)

    def lmdb_faces(self, splits: Sequence[str]) -> LmdbFaces:
        """Return a reader of the concatenated faces of splits; call `labels` first to verify the files.

        Raises:
            DataSetError: If a split is missing.
        """
        return LmdbFaces([(shard.path, shard.count) for split in splits for shard in self._shards(split)])

    def labels(self, splits: Sequence[str]) -> NDArray[np.int64]:
        """Return the concatenated labels of splits after verifying their files.

        Raises:
            DataSetError: If a split is missing or damaged.
            StoreError: If the keys are not numbered consecutively.
        """
        labels = []
        for shard in (shard for split in splits for shard in self._shards(split)):
            shard.verify()
            labels.append(read_labels(shard.path))
            _check_count(shard, len(labels[-1]))
        return np.concatenate(labels)

    def mean(self) -> np.ndarray:
        """Return the mean image of the training split, (C, H, W) float32 in 0-255.

        Raises:
            DataSetError: If the file is missing or damaged.
        """
        entry = self.manifest["mean"]
        if not entry:
            return compute_mean([shard.path for shard in self._shards("train")], self.count("train"))
        path = Path(entry["path"]) if "path" in entry else self.folder / MEAN_NAME
        verify_sha256(path, entry.get("sha256", ""))
        return pl.read_mean(path)

    def fingerprint(self) -> dict[str, Any]:
        """Return the identity of the data for models and runs: source, counts and digests of the splits, seed."""
        splits = self.manifest["splits"]
        return {
            "source": self.manifest.get("source", {}),
            "counts": {name: self.count(name) for name in splits},
            "sha256": {name: splits[name].get("sha256") for name in splits},
            "seed": self.manifest.get("seed"),
            "opencv": self.manifest.get("opencv"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the folder and the manifest as plain values."""
        return {"folder": str(self.folder), **self.manifest}

    def _repr_html_(self) -> str:
        """Return a table of the faces per class and split, for notebooks."""
        splits = self.manifest["splits"]
        per_class = [counts.get("per_class", {}) for counts in splits.values()]
        rows = [(name, [counts.get(name, 0) for counts in per_class]) for name in self.scheme.classes]
        rows.append(("total", [self.count(split) for split in splits]))
        head = "".join(f"<th>{html.escape(split)}</th>" for split in splits)
        body = "".join(
            f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{count:,}</td>' for count in counts)}</tr>"
            for name, counts in rows
        )
        title = html.escape(str(self.folder))
        return f"<table><caption>{title}</caption><tr><th></th>{head}</tr>{body}</table>"

    def _shards(self, split: str) -> list[Shard]:
        """Return the databases of a split, in order."""
        if not self._has(split):
            raise DataSetError(f"{self.folder} has no {split} split; expected one of: {self._split_names()}")
        return shards(self.folder, self.manifest, split)

    def _has(self, split: str) -> bool:
        if split not in self.manifest["splits"]:
            return False
        return any(shard.path.is_dir() for shard in shards(self.folder, self.manifest, split))

    def _split_names(self) -> str:
        return ", ".join(name for name in SPLITS if self._has(name)) or "none"


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
    """Yield the preprocessing of each joined data set, recursively."""
    for part in source.get("joined", []):
        yield part["preprocessing"]
        yield from _preprocessings(part.get("source", {}))


def _concatenate(found: Sequence[SplitArrays], folder: Path) -> SplitArrays:
    if len(found) == 1:
        return found[0]
    if len({part.images.shape[1:] for part in found}) > 1:
        raise DataSetError(f"{folder}: the shards of a split have faces of different sizes; build the data set again")
    keys = [key for part in found for key in part.keys]
    return SplitArrays(
        keys, np.concatenate([part.images for part in found]), np.concatenate([part.labels for part in found])
    )


def _check_count(shard: Shard, found: int) -> None:
    if found != shard.count:
        raise DataSetError(f"{shard.path}: found {found} faces, expected {shard.count}; build the data set again")
