"""Read databases in the order of their keys, into arrays or record by record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store.datum import decode_datum, parse_datum
from prototxt_like.io.datum_store.environment import open_readonly
from prototxt_like.io.datum_store.keys import printable_key
from prototxt_like.io.datum_store.leveldb import is_leveldb, open_leveldb
from prototxt_like.limits import format_shape


@dataclass(frozen=True)
class Record:
    """One labeled face.

    Attributes:
        key: ``%08d_<name>`` as bytes; the name need not be UTF-8.
        image: (C, H, W) uint8, 0 (black) to 255 (white); color channels are blue, green, red.
        label: Class number in the data set's label scheme.
    """

    key: bytes
    image: NDArray[np.uint8]
    label: int


@dataclass(frozen=True)
class SplitArrays:
    """Faces of a split in memory.

    Attributes:
        keys: N keys in order; bytes that are not UTF-8 are surrogates (see `os.fsdecode`).
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    keys: list[str]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def read_split(path: Path) -> SplitArrays:
    """Read a database of faces into memory.

    Raises:
        StoreError: If the database is missing, damaged or empty, or its images differ in size.
    """
    keys: list[str] = []
    labels: list[int] = []
    with _open_reader(path) as (count, records):
        images: NDArray[np.uint8] | None = None
        for number, (key, value) in enumerate(records):
            image, label = decode_datum(value, f"{path}: {printable_key(key)}")
            if images is None:
                images = np.empty((count, *image.shape), dtype=np.uint8)
            if number >= count:
                raise StoreError(f"{path} has more records than its header ({count}); write the database again")
            if images.shape[1:] != image.shape:
                raise StoreError(_sizes_differ(path, key, image.shape, images.shape[1:]))
            images[number] = image
            keys.append(os.fsdecode(key))
            labels.append(label)
    if images is None:
        raise StoreError(f"{path} is empty; write the database again")
    if len(keys) != count:
        raise StoreError(f"{path} has {len(keys)} records, expected {count}; write the database again")
    return SplitArrays(keys, images, np.array(labels, dtype=np.int64))


def iterate(path: Path) -> Iterator[Record]:
    """Yield the faces in the order of the keys, one at a time.

    Raises:
        StoreError: If the database is missing or damaged.
    """
    for key, value in iterate_values(path):
        image, label = decode_datum(value, f"{path}: {printable_key(key)}")
        yield Record(key, image, label)


def iterate_values(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and undecoded values in the order of the keys."""
    with _open_reader(path) as (_, records):
        yield from records


def read_votes(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read a database of numbers (`encode_votes`).

    Returns:
        Keys and (N, K) float32.

    Raises:
        StoreError: If the database is missing, damaged or empty, or its records differ in length.
    """
    keys, rows = [], []
    for key, value in iterate_values(path):
        keys.append(os.fsdecode(key))
        rows.append(np.array(parse_datum(value, f"{path}: {printable_key(key)}").float_data, dtype=np.float32))
    if not rows or len({len(row) for row in rows}) != 1:
        raise StoreError(f"{path} is not a database of votes: its records differ in length; write the database again")
    return keys, np.stack(rows)


@contextmanager
def _open_reader(path: Path) -> Iterator[tuple[int, Iterator[tuple[bytes, bytes]]]]:
    """Open a finished database; yield its number of records and an iterator of the records."""
    if is_leveldb(path):
        with open_leveldb(path) as leveldb:
            count = sum(1 for _ in leveldb.iterator(verify_checksums=True, include_value=False))
            yield count, leveldb.iterator(verify_checksums=True)
        return
    with open_readonly(path) as environment, environment.begin() as transaction:
        yield environment.stat()["entries"], iter(transaction.cursor())


def _sizes_differ(path: Path, key: bytes, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return (
        f"{path}: {printable_key(key)} is {format_shape(found)}, expected {format_shape(expected)} as the "
        "previous records; write the database again"
    )
