"""What a database or a whole data set holds, and whether it is unharmed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError

import prototxt_like as pl
from fer_lmdb.data import lmdb_store
from fer_lmdb.data import manifest as manifests
from fer_lmdb.errors import FerLmdbError
from fer_lmdb.io.images import printable_path
from prototxt_like.errors import PrototxtLikeError

MAX_PROBLEMS = 20
MAGIC = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}


@dataclass(frozen=True)
class RecordFacts:
    """What one record holds.

    Attributes:
        label: its class.
        encoding: "raw", "png", "jpeg", "encoded" or "numbers".
        size: channels x height x width of its picture, or how many numbers.
        problem: why it cannot be used, None where it can.
    """

    label: int
    encoding: str
    size: str
    problem: str | None = None


def inspect_database(path: Path, verify: bool) -> dict[str, Any]:
    """Read a database of Datum from end to end, whoever wrote it.

    Returns:
        number of records, first and last key, records per label, sizes and encodings, bytes, and the problems.
    Raises:
        StoreError: it is missing, or its pages are damaged.
    """
    lmdb_store.check_structure(path)
    labels: Counter[int] = Counter()
    sizes: Counter[str] = Counter()
    encodings: Counter[str] = Counter()
    problems: list[str] = []
    first = last = None
    for key, value in lmdb_store.iterate_values(path):
        facts = facts_of(value)
        labels[facts.label] += 1
        sizes[facts.size] += 1
        encodings[facts.encoding] += 1
        first, last = first or key, key
        if facts.problem and len(problems) < MAX_PROBLEMS:
            problems.append(f"{printable_path(os.fsdecode(key))}: {facts.problem}")
    if len(sizes) > 1:
        problems.append(f"pictures of {len(sizes)} sizes: {', '.join(sizes)}")
    return {
        "records": labels.total(),
        "bytes": (path / "data.mdb").stat().st_size,
        "first_key": None if first is None else printable_path(os.fsdecode(first)),
        "last_key": None if last is None else printable_path(os.fsdecode(last)),
        "per_label": dict(sorted(labels.items())),
        "sizes": dict(sizes.most_common()),
        "encodings": dict(encodings),
        "problems": problems,
    }


def facts_of(value: bytes) -> RecordFacts:
    """Look into a record."""
    try:
        datum = pl.Datum.FromString(value)
    except DecodeError:
        return RecordFacts(0, "unknown", "unknown", "is not a Datum")
    if datum.encoded:
        encoding = next((name for magic, name in MAGIC.items() if datum.data.startswith(magic)), "encoded")
        data = np.frombuffer(datum.data, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if image is None:
            return RecordFacts(datum.label, encoding, "unknown", "its picture cannot be decoded")
        channels = 1 if image.ndim == 2 else image.shape[2]
        return RecordFacts(datum.label, encoding, f"{channels} x {image.shape[0]} x {image.shape[1]}")
    if datum.float_data and not datum.data:
        return RecordFacts(datum.label, "numbers", str(len(datum.float_data)))
    size = f"{datum.channels} x {datum.height} x {datum.width}"
    expected = datum.channels * datum.height * datum.width
    problem = None if 0 < expected == len(datum.data) else f"says {size} and holds {len(datum.data)} bytes"
    return RecordFacts(datum.label, "raw", size, problem)


# ------------------------------------------------------------------ data sets


def inspect_data_set(path: Path, verify: bool) -> dict[str, Any]:
    """Return a data set's manifest; with `verify`, compare everything in the folder with it.

    Raises:
        DataSetError: the manifest is missing or damaged.
    """
    manifest = manifests.read_manifest(path)
    return manifest | ({"problems": list(find_problems(path, manifest))} if verify else {})


def find_problems(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield every way in which a data set folder differs from its manifest."""
    parts: dict[str, Callable[[], Iterator[str]]] = {
        **{split: partial(check_split, folder, split, manifest) for split in manifest["splits"]},
        "mean": partial(check_mean, folder, manifest),
        "detections": partial(check_detections, folder, manifest),
    }
    for name, check in parts.items():
        try:
            yield from (f"{name}: {problem}" for problem in check())
        except (FerLmdbError, PrototxtLikeError) as error:
            yield f"{name}: {error}"
        except (KeyError, TypeError, AttributeError) as error:
            yield f"{name}: the manifest is incomplete or damaged ({error!r})"


def check_split(folder: Path, split: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a split: its file, its records, its counts, its votes."""
    facts = manifest["splits"][split]
    parts = manifests.shards(folder, manifest, split)
    paths = [part.path for part in parts]
    for part in parts:
        part.verify()
    found = inspect_databases(paths)
    yield from found["problems"]
    if lmdb_store.digest(*paths) != facts["sha256"]:
        yield "the records are others than those that were written"
    if found["records"] != facts["count"]:
        yield f"holds {found['records']} faces, the manifest says {facts['count']}"
    size = f"1 x {manifest['size']} x {manifest['size']}"
    if set(found["sizes"]) != {size}:
        yield f"holds pictures of {', '.join(found['sizes'])}; expected {size}"
    per_label = {name: found["per_label"].get(label, 0) for label, name in enumerate(manifest["classes"])}
    if per_label != facts["per_class"] or set(found["per_label"]) - set(range(len(manifest["classes"]))):
        yield f"holds the labels {found['per_label']}, the manifest says {facts['per_class']}"
    yield from check_numbering(paths)
    if "votes_sha256" in facts:
        yield from check_votes(folder, split, facts, paths)


def inspect_databases(paths: list[Path]) -> dict[str, Any]:
    """Return number, labels, sizes and problems of the records of several databases together."""
    found = [inspect_database(path, verify=True) for path in paths]
    sums = {key: sum((Counter(each[key]) for each in found), Counter[Any]()) for key in ("per_label", "sizes")}
    problems = [problem for each in found for problem in each["problems"]]
    return {"records": sum(each["records"] for each in found), **sums, "problems": problems}


def check_numbering(paths: list[Path]) -> Iterator[str]:
    """Yield the first key whose number is not its place; the numbers of a shard go on from the one before."""
    records = chain.from_iterable(map(lmdb_store.iterate_values, paths))
    for number, (key, _) in enumerate(records):
        if not key.startswith(b"%08d_" % number):
            yield f"record {number} has the key {printable_path(os.fsdecode(key))}"
            return


def check_votes(folder: Path, split: str, facts: dict[str, Any], paths: list[Path]) -> Iterator[str]:
    """Yield what is wrong with the database of FER+'s votes."""
    path = manifests.votes_database(folder, split)
    manifests.verify_sha256(path / "data.mdb", facts["votes_file_sha256"])
    keys, _ = lmdb_store.read_votes(path)
    faces = (os.fsdecode(key) for path in paths for key, _ in lmdb_store.iterate_values(path))
    if any(key != face for key, face in zip_longest(keys, faces)):
        yield "votes and faces have different keys"


def check_mean(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the mean image: it has to be that of the train split."""
    manifests.verify_sha256(folder / manifests.MEAN_NAME, manifest["mean"]["sha256"])
    mean = pl.read_mean(folder / manifests.MEAN_NAME)
    total = np.zeros(mean.shape[1:], dtype=np.int64)
    count = 0
    paths = [part.path for part in manifests.shards(folder, manifest, "train")]
    for record in chain.from_iterable(map(lmdb_store.iterate, paths)):
        if record.image.shape != total.shape:
            yield f"has the size {mean.shape[1:]}, the faces have {record.image.shape}"
            return
        total += record.image
        count += 1
    if not np.array_equal(mean[0], total.astype(np.float32) / np.float32(count)):
        yield "is not the mean of the train split"


def check_detections(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the list of detections, where a detector ran."""
    path = folder / manifests.DETECTIONS_NAME
    if manifest.get("detector") == "none" or manifests.is_joined(manifest):
        return
    states: Counter[tuple[str, str]] = Counter()
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                states[entry["split"], entry["state"]] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{path.name} is missing or damaged ({error!r})"
        return
    for split, facts in manifest["splits"].items():
        for state, key in (("aligned", "detected"), ("kept", "kept_unaligned"), ("dropped", "dropped")):
            if states[split, state] != facts[key]:
                yield f"{split}: {states[split, state]} faces are {state}, the manifest says {facts[key]}"
