"""Join data sets: the faces of each split in one random order, with unchanged values.

For a net trained on FER2013 and a user's own images, or on variants of the same faces.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import SPLITS
from fer_lmdb.data.build.mean import MeanAccumulator
from fer_lmdb.data.build.write import verify_dataset, write_votes_database
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import (
    MEAN_NAME,
    database,
    file_sha256,
    shards,
    verify_sha256,
    votes_database,
    write_manifest,
)
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.labels import require_same
from fer_lmdb.ranges import SEED
from fer_lmdb.runtime.progress import ProgressCallback, no_progress, report_progress
from prototxt_like.io.datum_store import LmdbWriter, decode_datum, iterate_values, key_name

Records = Iterator[tuple[str, bytes]]
"""Names and undecoded values."""
INHERITED_KEYS = (
    "format",
    "scheme",
    "classes",
    "size",
    "channels",
    "detector",
    "align",
    "preprocessing",
    "on_no_face",
    "encoding",
)
"""Entries of the manifest that are copied from the first data set."""


def join(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    train_only: bool = False,
    seed: int = 0,
    labels: str | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> DataSet:
    """Join data sets. The folder appears complete or not at all.

    Args:
        folders: Two or more data sets; the joined one has the preprocessing of the first.
        out: Folder to write.
        train_only: Use validation and test faces of the first data set only.
        seed: Seed of the order.
        labels: Class names of databases without a manifest, see `DataSet.open`.
        force: Replace an existing folder.
        progress: Called with the number of faces written and verified.

    Raises:
        OptionError: If the seed is out of range.
        DataSetError: If there are fewer than two data sets, their labels or face sizes differ, only some have votes,
            one is damaged, or the folder cannot be written.
        OutputError: If the folder exists (without `force`), is or contains one of the data sets, or contains files that
            this program did not write.
        StoreError: If a database cannot be read or written.
    """
    SEED.check("seed", seed)
    sets = [DataSet.open(folder, labels) for folder in folders]
    _check_compatible(sets)
    first, out = sets[0].manifest, Path(out)
    with atomic_directory(out, force=force, inputs=folders) as folder:
        splits = {}
        for number, split in enumerate(SPLITS):
            candidates = sets[:1] if train_only and split != "train" else sets
            if sources := [data for data in candidates if data.count(split)]:
                order = _order(sources, split, np.random.default_rng([seed, number]))
                splits[split] = _write_split(sources, split, order, folder, progress)
        manifest = {key: first[key] for key in INHERITED_KEYS if key in first} | {
            "opencv": _versions(sets),
            "seed": seed,
            "source": _describe(sets, splits),
            "mean": {"file": MEAN_NAME, "sha256": file_sha256(folder / MEAN_NAME)},
            "unreadable": sum(data.manifest.get("unreadable", 0) for data in sets),
            "splits": splits,
        }
        write_manifest(folder, manifest)
        verify_dataset(folder, manifest, progress)
    return DataSet(out, manifest)


def _check_compatible(sets: Sequence[DataSet]) -> None:
    if len(sets) < 2:
        raise DataSetError(f"found {len(sets)} data set to join, expected two or more; pass at least two folders")
    first, seen = sets[0], {sets[0].folder.resolve()}
    for other in sets[1:]:
        if other.folder.resolve() in seen:
            raise DataSetError(f"{other.folder} is given twice; pass each data set once")
        seen.add(other.folder.resolve())
        require_same(
            first.scheme,
            other.scheme,
            f"the label schemes of {first.folder} and {other.folder} differ",
            "build both with the same --label-scheme",
        )
        if first.manifest["size"] != other.manifest["size"]:
            sizes = f"{first.manifest['size']} and {other.manifest['size']}"
            raise DataSetError(
                f"{first.folder} and {other.folder} have faces of {sizes} pixels; build both with the same --size"
            )
        if first.channels != other.channels:
            raise DataSetError(
                f"{first.folder} and {other.folder} have {first.channels} and {other.channels} channels; "
                "join gray or color data sets only"
            )
    if not any(data.count("train") for data in sets):
        raise DataSetError("none of these data sets has a train split; pass at least one with a train split")


def _versions(sets: Sequence[DataSet]) -> str | None:
    """Return the OpenCV versions that the faces were made with; None if one of them is unknown."""
    known = [data.manifest.get("opencv") for data in sets]
    if not all(known):
        return None
    versions = ", ".join(map(str, known)).split(", ")  # a joined data set may list several
    return ", ".join(sorted(set(versions)))


def _order(sets: Sequence[DataSet], split: str, generator: np.random.Generator) -> NDArray[np.uint16]:
    """Return the index of the source data set for each face of the joined split.

    Each data set is shuffled already, so taking the next face of a random one shuffles all of them.
    """
    counts = [data.count(split) for data in sets]
    return generator.permutation(np.repeat(np.arange(len(sets), dtype=np.uint16), counts))


def _write_split(
    sets: Sequence[DataSet], split: str, order: NDArray[np.uint16], folder: Path, progress: ProgressCallback
) -> dict[str, Any]:
    mean = MeanAccumulator(sets[0].manifest["size"], sets[0].channels)
    path = database(folder, split)
    with LmdbWriter(path) as writer:
        for name, value in _merged(sets, [_faces(data, split) for data in sets], order):
            writer.append_value(name, value)
            if split == "train":
                mean.add(decode_datum(value, name)[0])
            report_progress(progress, f"join {split}", writer.count, len(order))
    if split == "train":
        mean.write(folder / MEAN_NAME)
    counts = _sum([data.manifest["splits"][split] for data in sets])
    digests = {"sha256": writer.sha256, "file_sha256": file_sha256(path / "data.mdb")}
    return counts | digests | _write_votes(sets, split, order, folder)


def _write_votes(sets: Sequence[DataSet], split: str, order: NDArray[np.uint16], folder: Path) -> dict[str, str]:
    with_votes = [data for data in sets if "votes_file_sha256" in data.manifest["splits"][split]]
    if not with_votes:
        return {}
    if len(with_votes) < len(sets):
        without = next(data for data in sets if data not in with_votes)
        raise DataSetError(
            f"the {split} split of {with_votes[0].folder} has votes, that of {without.folder} does not; "
            "join data sets with votes or data sets without votes"
        )
    records = _merged(sets, [_votes(data, split) for data in sets], order)
    return write_votes_database(votes_database(folder, split), records)


def _merged(sets: Sequence[DataSet], sources: Sequence[Records], order: NDArray[np.uint16]) -> Records:
    for number in order:
        record = next(sources[number], None)
        if record is None:
            raise DataSetError(f"{sets[number].folder}: has fewer records than its manifest; build it again")
        yield record


def _faces(data: DataSet, split: str) -> Records:
    """Yield the names and undecoded values of a split after verifying its files."""
    for shard in shards(data.folder, data.manifest, split):
        shard.verify()
        yield from _named(shard.path)


def _votes(data: DataSet, split: str) -> Records:
    path = votes_database(data.folder, split)
    verify_sha256(path / "data.mdb", data.manifest["splits"][split]["votes_file_sha256"])
    yield from _named(path)


def _named(path: Path) -> Records:
    for key, value in iterate_values(path):
        yield key_name(os.fsdecode(key)), value


def _sum(counts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of the splits' counts."""
    keys = ("count", "detected", "unaligned", "dropped", "unlabeled", "unreadable")
    total: dict[str, Any] = {key: sum(each.get(key, 0) for each in counts) for key in keys}
    classes: Counter[str] = Counter()
    for each in counts:
        classes.update(each.get("per_class", {}))
    return total | {"per_class": dict(classes)}


def _describe(sets: Sequence[DataSet], splits: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest's entry about the sources: fingerprint and preprocessing of each data set."""
    digest = hashlib.sha256("".join(counts["sha256"] for counts in splits.values()).encode()).hexdigest()
    return {
        "name": " + ".join(data.folder.resolve().name for data in sets),
        "sha256": digest,
        "rows": sum(counts["count"] for counts in splits.values()),
        "joined": [{**data.fingerprint(), "preprocessing": data.manifest["preprocessing"]} for data in sets],
    }
