"""Several data sets become one: the faces of each split in one random order, as they are.

For a net that shall learn from FER2013 and from pictures of one's own, or from the same faces prepared in two ways.
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

from fer_lmdb.data import manifest as manifests
from fer_lmdb.data.build.options import ProgressCallback, no_progress
from fer_lmdb.data.build.write import verify_dataset, write_mean
from fer_lmdb.data.dataset import SPLITS, DataSet
from fer_lmdb.data.lmdb_store import LmdbWriter, decode_datum, iterate_values, key_name
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.labels import require_same

Records = Iterator[tuple[str, bytes]]
#: Of the manifest: what the first data set says stands for all.
INHERITED_KEYS = ("format", "scheme", "classes", "size", "detector", "align", "preprocessing", "on_miss", "encode")


def join_datasets(
    folders: Sequence[Path],
    target: Path,
    *,
    train_only: bool = False,
    seed: int = 0,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Join data sets.

    Args:
        folders: two data sets or more; where they were prepared differently, the joined one counts as the first.
        target: the folder to make; it appears complete or not at all.
        train_only: take validation and test faces from the first one alone.
        seed: of the order.
        force: replace the folder where it exists.
        progress: told how far it is.
    Returns:
        the manifest that was written.
    Raises:
        DataSetError: fewer than two, their labels or face sizes differ, only some carry votes, one is damaged, or the
            target exists or cannot be written.
        StoreError: a database cannot be read or written.
    """
    sets = [DataSet.open(folder) for folder in folders]
    _check_compatible(sets)
    first = sets[0].manifest
    with atomic_directory(target, force=force) as folder:
        splits = {}
        for number, split in enumerate(SPLITS):
            taking = [data for data in (sets[:1] if train_only and split != "train" else sets) if data.count(split)]
            if taking:
                order = _order(taking, split, np.random.default_rng([seed, number]))
                splits[split] = _write_split(taking, split, order, folder, progress)
        document = {key: first[key] for key in INHERITED_KEYS if key in first} | {
            "opencv": _versions(sets),
            "seed": seed,
            "source": _describe(sets, splits),
            "mean": {"file": manifests.MEAN_NAME, "sha256": manifests.file_sha256(folder / manifests.MEAN_NAME)},
            "unreadable": sum(data.manifest.get("unreadable", 0) for data in sets),
            "splits": splits,
        }
        manifests.write_manifest(folder, document)
        verify_dataset(folder, document, progress)
    return document


def _check_compatible(sets: Sequence[DataSet]) -> None:
    if len(sets) < 2:
        raise DataSetError(f"found {len(sets)} data set to join; name two or more")
    first, seen = sets[0], {sets[0].folder.resolve()}
    for other in sets[1:]:
        if other.folder.resolve() in seen:
            raise DataSetError(f"{other.folder} is named twice; name every data set once")
        seen.add(other.folder.resolve())
        require_same(
            first.scheme,
            other.scheme,
            f"the label schemes of {first.folder} and {other.folder} differ",
            "build both with the same --label-scheme",
        )
        if first.manifest["size"] != other.manifest["size"]:
            sizes = f"{first.manifest['size']} and {other.manifest['size']}"
            raise DataSetError(f"{first.folder} and {other.folder} hold faces of {sizes} pixels; build with one --size")
    if not any(data.count("train") for data in sets):
        raise DataSetError("none of these data sets has a train split; there is nothing to take a mean of")


def _versions(sets: Sequence[DataSet]) -> str | None:
    """Return the OpenCV that drew the faces, or all of them; None where it is not known of every data set."""
    known = [data.manifest.get("opencv") for data in sets]
    if not all(known):
        return None
    versions = ", ".join(map(str, known)).split(", ")  # a joined data set names several already
    return ", ".join(sorted(set(versions)))


def _order(sets: Sequence[DataSet], split: str, generator: np.random.Generator) -> NDArray[np.uint16]:
    """Return for every face of the joined split the data set that it comes from.

    Each data set is in random order already, so that taking the next face of a random one shuffles all of them.
    """
    counts = [data.count(split) for data in sets]
    return generator.permutation(np.repeat(np.arange(len(sets), dtype=np.uint16), counts))


def _write_split(
    sets: Sequence[DataSet], split: str, order: NDArray[np.uint16], folder: Path, progress: ProgressCallback
) -> dict[str, Any]:
    size = sets[0].manifest["size"]
    total = np.zeros((size, size), dtype=np.int64)
    path = manifests.database(folder, split)
    with LmdbWriter(path) as writer:
        for number, (name, value) in enumerate(_merged(sets, [_faces(data, split) for data in sets], order), start=1):
            writer.append_value(name, value)
            if split == "train":
                total += decode_datum(value, name)[0]
            if number % 1000 == 0 or number == len(order):
                progress(f"join {split}", number, len(order))
    if split == "train":
        write_mean(folder / manifests.MEAN_NAME, total, writer.count)
    facts = _sum([data.manifest["splits"][split] for data in sets])
    facts |= {"sha256": writer.sha256, "file_sha256": manifests.file_sha256(path / "data.mdb")}
    return facts | _write_votes(sets, split, order, folder)


def _write_votes(sets: Sequence[DataSet], split: str, order: NDArray[np.uint16], folder: Path) -> dict[str, str]:
    carrying = [data for data in sets if "votes_file_sha256" in data.manifest["splits"][split]]
    if not carrying:
        return {}
    if len(carrying) < len(sets):
        without = next(data for data in sets if data not in carrying)
        raise DataSetError(
            f"the {split} split of {carrying[0].folder} carries votes, that of {without.folder} none; join data sets "
            "of one kind"
        )
    path = manifests.votes_database(folder, split)
    with LmdbWriter(path) as writer:
        for name, value in _merged(sets, [_votes(data, split) for data in sets], order):
            writer.append_value(name, value)
    return {"votes_sha256": writer.sha256, "votes_file_sha256": manifests.file_sha256(path / "data.mdb")}


def _merged(sets: Sequence[DataSet], sources: Sequence[Records], order: NDArray[np.uint16]) -> Records:
    for number in order:
        record = next(sources[number], None)
        if record is None:
            raise DataSetError(f"{sets[number].folder}: holds less than its manifest says; build it again")
        yield record


def _faces(data: DataSet, split: str) -> Records:
    """Yield the names and undecoded values of a split, after its files have been compared with the manifest."""
    for part in manifests.shards(data.folder, data.manifest, split):
        part.verify()
        yield from _named(part.path)


def _votes(data: DataSet, split: str) -> Records:
    path = manifests.votes_database(data.folder, split)
    manifests.verify_sha256(path / "data.mdb", data.manifest["splits"][split]["votes_file_sha256"])
    yield from _named(path)


def _named(path: Path) -> Records:
    for key, value in iterate_values(path):
        yield key_name(os.fsdecode(key)), value


def _sum(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of splits, added."""
    counts = ("count", "detected", "kept_unaligned", "dropped", "left_out", "unreadable")
    added: dict[str, Any] = {key: sum(each.get(key, 0) for each in facts) for key in counts}
    classes: Counter[str] = Counter()
    for each in facts:
        classes.update(each.get("per_class", {}))
    return added | {"per_class": dict(classes)}


def _describe(sets: Sequence[DataSet], splits: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of the sources: where each came from, and how its faces were prepared."""
    digest = hashlib.sha256("".join(facts["sha256"] for facts in splits.values()).encode()).hexdigest()
    return {
        "name": " + ".join(data.folder.resolve().name for data in sets),
        "sha256": digest,
        "rows": sum(facts["count"] for facts in splits.values()),
        "joined": [{**data.fingerprint(), "preprocessing": data.manifest["preprocessing"]} for data in sets],
    }
