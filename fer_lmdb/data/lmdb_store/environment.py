"""Opening a database, and what can be wrong with its file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
from lmdb.verify import VerifyError, verify

from fer_lmdb.errors import StoreError


@contextmanager
def open_readonly(path: Path, readahead: bool = True) -> Iterator[lmdb.Environment]:
    """Open a finished database.

    No lock is taken: a finished database is never written again, and so several processes,
    or one without the right to write, may read it at the same moment.
    """
    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(f"{path} is no LMDB (it has no data.mdb); make one with: fer-lmdb build")
    with as_store_error(path):
        environment = lmdb.open(
            os.fsencode(path), readonly=True, lock=False, create=False, max_dbs=0, readahead=readahead
        )
        try:
            _check_length(Path(path), environment)
            yield environment
        finally:
            environment.close()


def check_structure(path: Path) -> None:
    """Walk over every page of a database without LMDB itself, which a damaged file could bring down.

    Raises:
        StoreError: the database is missing, or its pages do not fit together; the message has the first problem.
    """
    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(f"{path} is no LMDB (it has no data.mdb); make one with: fer-lmdb build")
    try:
        problems = verify(str(path))
    except (VerifyError, OSError) as error:
        problems = [str(error)]
    if problems:
        raise StoreError(f"{path} is damaged: {problems[0]}" + (f" and {len(problems) - 1} more" * (len(problems) > 1)))


def _check_length(path: Path, environment: lmdb.Environment) -> None:
    """Refuse a file shorter than its own count of pages: reading past its end would kill the process."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < expected:
        raise StoreError(f"{path}/data.mdb is cut off: {found} bytes of {expected}; build the data set again")


@contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Turn what LMDB and the operating system raise into one line that names the database."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        reason = "no space left on the disk" if _disk_is_full(path, error) else str(error).removeprefix(f"{path}: ")
        raise StoreError(f"{path}: {reason}") from error


def _disk_is_full(path: Path, error: Exception) -> bool:
    """Whether that is the reason; LMDB calls it an I/O error where the last page fitted in part."""
    if "Input/output error" in str(error):
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize < 1 << 20
    return "No space left" in str(error) or "Disk quota" in str(error)
