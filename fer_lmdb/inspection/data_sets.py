"""Verification of data sets against their manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import prototxt_like as pl
from fer_lmdb.data.caffe_folder import is_caffe_location, open_caffe_folder
from fer_lmdb.data.caffe_manifest import make_manifest
from fer_lmdb.data.detections import read_detections
from fer_lmdb.data.manifest import MEAN_NAME, is_joined, read_manifest, shards, verify_sha256, votes_database
from fer_lmdb.errors import ERRORS, DataSetError
from fer_lmdb.inspection.databases import inspect_databases
from fer_lmdb.io.images import printable_path
from prototxt_like.io import datum_store


def inspect_data_set(path: Path, verify: bool) -> dict[str, Any]:
    """Return the manifest of a data set; with `verify`, check the whole folder against it.

    Databases of Caffe's tools have no manifest: what it would contain is found by reading all of them.

    Raises:
        DataSetError: If the manifest is missing or damaged.
    """
    if is_caffe_location(path):  # all of it has been read and checked
        return make_manifest(open_caffe_folder(str(path)), None) | ({"problems": []} if verify else {})
    manifest = read_manifest(path)
    return manifest | ({"problems": list(find_problems(path, manifest))} if verify else {})


def find_problems(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield all differences between a data set and its manifest."""
    checks: dict[str, Callable[[], Iterator[str]]] = {
        **{split: partial(check_split, folder, split, manifest) for split in manifest["splits"]},
        "mean": partial(check_mean, folder, manifest),
        "detections": partial(check_detections, folder, manifest),
    }
    for name, check in checks.items():
        try:
            yield from (f"{name}: {problem}" for problem in check())
        except ERRORS as error:
            yield f"{name}: {error}"
        except (KeyError, TypeError, AttributeError) as error:
            yield f"{name}: the manifest is incomplete or damaged ({error!r})"


def check_split(folder: Path, split: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the problems of a split: file digests, records, counts and votes."""
    entry = manifest["splits"][split]
    split_shards = shards(folder, manifest, split)
    paths = [shard.path for shard in split_shards]
    for shard in split_shards:
        shard.verify()
    found = inspect_databases(paths)
    yield from found["problems"]
    if datum_store.digest(*paths) != entry["sha256"]:
        yield "the records differ from those that were written"
    if found["records"] != entry["count"]:
        yield f"contains {found['records']} faces, the manifest states {entry['count']}"
    size = f"{manifest.get('channels', 1)} x {manifest['size']} x {manifest['size']}"
    if set(found["sizes"]) != {size}:
        yield f"contains images of {', '.join(found['sizes'])}; expected {size}"
    per_label = {name: found["per_label"].get(label, 0) for label, name in enumerate(manifest["classes"])}
    if per_label != entry["per_class"] or set(found["per_label"]) - set(range(len(manifest["classes"]))):
        yield f"contains the labels {found['per_label']}, the manifest states {entry['per_class']}"
    yield from check_numbering(paths)
    if "votes_sha256" in entry:
        yield from check_votes(folder, split, entry, paths)


def check_numbering(paths: list[Path]) -> Iterator[str]:
    """Yield a problem if a key's number is not its position; numbers continue across shards."""
    records = chain.from_iterable(map(datum_store.iterate_values, paths))
    for number, (key, _) in enumerate(records):
        if not key.startswith(b"%08d_" % number):
            yield f"record {number} has the key {printable_path(os.fsdecode(key))}"
            return


def check_votes(folder: Path, split: str, entry: dict[str, Any], paths: list[Path]) -> Iterator[str]:
    """Yield the problems of the database of FER+ votes."""
    path = votes_database(folder, split)
    verify_sha256(path / "data.mdb", entry["votes_file_sha256"])
    keys, _ = datum_store.read_votes(path)
    faces = (os.fsdecode(key) for path in paths for key, _ in datum_store.iterate_values(path))
    if any(key != face for key, face in zip_longest(keys, faces)):
        yield "votes and faces have different keys"


def check_mean(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the problems of the mean image, which must be the mean of the train split."""
    verify_sha256(folder / MEAN_NAME, manifest["mean"]["sha256"])
    mean = pl.read_mean(folder / MEAN_NAME)
    total = np.zeros(mean.shape, dtype=np.int64)
    count = 0
    paths = [shard.path for shard in shards(folder, manifest, "train")]
    for record in chain.from_iterable(map(datum_store.iterate, paths)):
        if record.image.shape != total.shape:
            yield f"has the shape {mean.shape}, the faces have {record.image.shape}"
            return
        total += record.image
        count += 1
    if not np.array_equal(mean, total.astype(np.float32) / np.float32(count)):
        yield "is not the mean of the train split"


def check_detections(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the problems of detections.jsonl; no-op without a detector."""
    if manifest.get("detector") == "none" or is_joined(manifest):
        return
    states: Counter[tuple[str, str]] = Counter()
    try:
        for record in read_detections(folder):
            states[record["split"], record["state"]] += 1
    except DataSetError as error:
        yield str(error)
        return
    for split, entry in manifest["splits"].items():
        for state, key in (("aligned", "detected"), ("unaligned", "unaligned"), ("dropped", "dropped")):
            if states[split, state] != entry[key]:
                yield f"{split}: {states[split, state]} faces are {state}, the manifest states {entry[key]}"
