"""Contents and verification of databases of Datum."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError

import prototxt_like as pl
from fer_lmdb.io.images import printable_path
from prototxt_like.io import datum_store

MAX_PROBLEMS = 20
MAGIC = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}


@dataclass(frozen=True)
class RecordInfo:
    """Contents of one record.

    Attributes:
        label: Label.
        encoding: "raw", "png", "jpeg", "encoded", "numbers" or "unknown".
        size: Channels x height x width of an image, or the count of numbers.
        problem: Reason why the record cannot be used, or None.
    """

    label: int
    encoding: str
    size: str
    problem: str | None = None


def inspect_database(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a database of Datum, written by fer-lmdb or Caffe; all records are read.

    Returns:
        Number of records, file size, first and last key, records per label, sizes, encodings and problems.

    Raises:
        StoreError: If it is missing or its pages are damaged.
    """
    datum_store.check_structure(path)
    labels: Counter[int] = Counter()
    sizes: Counter[str] = Counter()
    encodings: Counter[str] = Counter()
    problems: list[str] = []
    first = last = None
    for key, value in datum_store.iterate_values(path):
        record = describe_record(value)
        labels[record.label] += 1
        sizes[record.size] += 1
        encodings[record.encoding] += 1
        first, last = first or key, key
        if record.problem and len(problems) < MAX_PROBLEMS:
            problems.append(f"{printable_path(os.fsdecode(key))}: {record.problem}")
    if len(sizes) > 1:
        problems.append(f"contains images of {len(sizes)} sizes: {', '.join(sizes)}")
    return {
        "records": labels.total(),
        "bytes": _size(path),
        "first_key": None if first is None else printable_path(os.fsdecode(first)),
        "last_key": None if last is None else printable_path(os.fsdecode(last)),
        "per_label": dict(sorted(labels.items())),
        "sizes": dict(sizes.most_common()),
        "encodings": dict(encodings),
        "problems": problems,
    }


def _size(path: Path) -> int:
    """Return the bytes of an LMDB's data.mdb, or of all files of a LevelDB."""
    files = path.iterdir() if datum_store.is_leveldb(path) else [path / "data.mdb"]
    return sum(file.stat().st_size for file in files)


def describe_record(value: bytes) -> RecordInfo:
    """Decode one record."""
    try:
        datum = pl.Datum.FromString(value)
    except DecodeError:
        return RecordInfo(0, "unknown", "unknown", "is not a Datum")
    if datum.encoded:
        encoding = next((name for magic, name in MAGIC.items() if datum.data.startswith(magic)), "encoded")
        data = np.frombuffer(datum.data, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if image is None:
            return RecordInfo(datum.label, encoding, "unknown", "its image cannot be decoded")
        channels = 1 if image.ndim == 2 else image.shape[2]
        return RecordInfo(datum.label, encoding, f"{channels} x {image.shape[0]} x {image.shape[1]}")
    if datum.float_data and not datum.data:
        return RecordInfo(datum.label, "numbers", str(len(datum.float_data)))
    size = f"{datum.channels} x {datum.height} x {datum.width}"
    expected = datum.channels * datum.height * datum.width
    problem = None if 0 < expected == len(datum.data) else f"declares {size} but contains {len(datum.data)} bytes"
    return RecordInfo(datum.label, "raw", size, problem)


def inspect_databases(paths: list[Path]) -> dict[str, Any]:
    """Return records, labels, sizes and problems of several databases, summed."""
    found = [inspect_database(path, verify=True) for path in paths]
    sums = {key: sum((Counter(each[key]) for each in found), Counter[Any]()) for key in ("per_label", "sizes")}
    problems = [problem for each in found for problem in each["problems"]]
    return {"records": sum(each["records"] for each in found), **sums, "problems": problems}
