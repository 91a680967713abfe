"""Write records to a new LMDB or LevelDB."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prototxt_like.errors import FileError
from prototxt_like.io.datum_store.environment import as_store_error

if TYPE_CHECKING:
    import lmdb

RECORDS_PER_COMMIT = 1000
FIRST_MAP_BYTES = 16 << 20

Record = tuple[bytes, bytes]


def write_records(path: str, backend: str, records: Iterable[Record]) -> int:
    """Write a database.

    Args:
        path: Folder to create.
        backend: "lmdb" or "leveldb".
        records: Keys in ascending order, with their values.

    Returns:
        Number of records.

    Raises:
        FileError: If the folder exists or cannot be written, or the backend is unknown or not installed.
    """
    if backend not in ("lmdb", "leveldb"):
        raise FileError(f'unknown backend "{backend}"; use lmdb or leveldb')
    if Path(path).exists():
        raise FileError(f"{path} already exists; choose a new folder")
    return _write_lmdb(path, records) if backend == "lmdb" else _write_leveldb(path, records)


def _write_lmdb(path: str, records: Iterable[Record]) -> int:
    import lmdb

    count, size, pending = 0, FIRST_MAP_BYTES, list[Record]()
    with as_store_error(Path(path)):
        Path(path).mkdir(parents=True)
        with lmdb.open(os.fsencode(path), map_size=size, sync=False, max_dbs=0) as base:
            for record in records:
                pending.append(record)
                count += 1
                if len(pending) == RECORDS_PER_COMMIT:
                    size = _commit(base, pending, size)
                    pending.clear()
            _commit(base, pending, size)
            base.sync(True)
    return count


def _commit(environment: lmdb.Environment, pending: list[Record], size: int) -> int:
    """Write records in one transaction; double the map until they fit. Return the size of the map."""
    import lmdb

    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in pending:
                    transaction.put(key, value)
        except lmdb.MapFullError:
            size *= 2
            environment.set_mapsize(size)
        else:
            return size


def _write_leveldb(path: str, records: Iterable[Record]) -> int:
    try:
        import plyvel
    except ModuleNotFoundError:
        raise FileError('backend leveldb needs the package plyvel: pip install "fer-lmdb[leveldb]"') from None
    count = 0
    try:
        base = plyvel.DB(path, create_if_missing=True, error_if_exists=True)
    except plyvel.Error as error:
        raise FileError(f"{path}: cannot be written ({error})") from None
    try:
        for key, value in records:
            base.put(key, value)
            count += 1
    finally:
        base.close()
    return count
