"""LevelDB, Caffe's other database; read with the package plyvel (extra ``leveldb``)."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prototxt_like.errors import StoreError

_DATA = ("*.ldb", "*.sst", "*.log", "MANIFEST-*")


def is_leveldb(path: Path) -> bool:
    """Return whether a folder holds a LevelDB, by its content."""
    return (Path(path) / "CURRENT").is_file() and any(Path(path).glob("MANIFEST-*"))


@contextmanager
def open_leveldb(path: Path) -> Iterator[Any]:
    """Open a LevelDB without changing its folder; yield a `plyvel.DB`, which iterates in the order of the keys.

    LevelDB has no read-only mode: opening rewrites its log and manifest. It is therefore opened through a temporary
    folder of links.

    Raises:
        StoreError: If plyvel is not installed, or the database is damaged.
    """
    try:
        import plyvel
    except ModuleNotFoundError:
        raise StoreError(
            f'{path} is a LevelDB; install its reader with: pip install "fer-lmdb[leveldb]", or write an LMDB with: '
            "convert_imageset --backend lmdb"
        ) from None
    with tempfile.TemporaryDirectory(prefix="leveldb-") as folder:
        for file in _files(path):
            (Path(folder) / file.name).symlink_to(file.resolve())
        shutil.copyfile(Path(path) / "CURRENT", Path(folder) / "CURRENT")
        try:
            database = plyvel.DB(folder, create_if_missing=False, paranoid_checks=True)
        except (plyvel.Error, OSError) as error:
            raise StoreError(f"{path} is damaged ({_reason(error, folder)}); write the database again") from None
        try:
            yield database
        except plyvel.Error as error:
            raise StoreError(f"{path} is damaged ({_reason(error, folder)}); write the database again") from None
        finally:
            database.close()


def leveldb_sha256(path: Path) -> str:
    """Return the SHA-256 of the files of a LevelDB, with their names."""
    total = hashlib.sha256()
    for file in [Path(path) / "CURRENT", *_files(path)]:
        total.update(f"{file.name} {file.stat().st_size} ".encode())
        with file.open("rb") as opened:
            while piece := opened.read(1 << 20):
                total.update(piece)
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(file for pattern in _DATA for file in Path(path).glob(pattern))


def _reason(error: Exception, folder: str) -> str:
    return str(error).replace(folder, "").strip().rstrip(".")
