"""Open databases and check their files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store.leveldb import is_leveldb

if TYPE_CHECKING:
    import lmdb


@contextmanager
def open_readonly(path: Path, readahead: bool = True) -> Iterator[lmdb.Environment]:
    """Open a finished database without a lock.

    A finished database is never written again, so any number of processes may read it, also without write permission.
    """
    import lmdb

    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(_not_found(path))
    with as_store_error(path):
        environment = lmdb.open(
            os.fsencode(path), readonly=True, lock=False, create=False, max_dbs=0, readahead=readahead
        )
        try:
            _check_length(Path(path), environment)
            yield environment
        finally:
            environment.close()


def is_database(path: Path) -> bool:
    """Return whether a folder holds an LMDB or a LevelDB, by its content."""
    return (Path(path) / "data.mdb").is_file() or is_leveldb(path)


def check_structure(path: Path) -> None:
    """Check all pages of a database in Python, since LMDB itself may crash on a damaged file.

    Raises:
        StoreError: If the database is missing or its pages are inconsistent; the message contains the first problem.
    """
    from lmdb.verify import VerifyError, verify

    if is_leveldb(path):
        return  # its records have checksums
    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(_not_found(path))
    try:
        problems = verify(str(path))
    except (VerifyError, OSError) as error:
        problems = [str(error)]
    if problems:
        raise StoreError(f"{path} is damaged: {problems[0]}" + (f" and {len(problems) - 1} more" * (len(problems) > 1)))


def _not_found(path: Path) -> str:
    if is_leveldb(path):
        return f"{path} is a LevelDB, which has no random access; use --loader memory"
    return f"{path} is not an LMDB: no data.mdb found; pass the folder of a database"


def _check_length(path: Path, environment: lmdb.Environment) -> None:
    """Reject a file shorter than its page count: reading past its end would crash the process."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < expected:
        raise StoreError(
            f"{path}/data.mdb is truncated: found {found} bytes, expected {expected}; write the database again"
        )


@contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Convert errors of LMDB and the operating system to a `StoreError` with the path of the database."""
    import lmdb

    try:
        yield
    except (lmdb.Error, OSError) as error:
        reason = "no space left on the disk" if _disk_is_full(path, error) else str(error).removeprefix(f"{path}: ")
        raise StoreError(f"{path}: {reason}") from error


def _disk_is_full(path: Path, error: Exception) -> bool:
    """Return whether the disk is full. LMDB reports an I/O error if the last page was written in part."""
    if "Input/output error" in str(error):
        return shutil.disk_usage(path).free < 1 << 20
    return "No space left" in str(error) or "Disk quota" in str(error)
