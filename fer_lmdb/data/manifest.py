"""manifest.json: contents, provenance and digests of a data set."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.errors import DataSetError
from prototxt_like.io.datum_store import is_leveldb, leveldb_sha256
from prototxt_like.suggest import closest_match

FORMAT = "fer-lmdb data set 1"
FILE_NAME = "manifest.json"
MEAN_NAME = "mean.binaryproto"
CONTACT_SHEET_NAME = "contact_sheet.png"
UNREADABLE_NAME = "unreadable.jsonl"


def database(folder: Path, split: str) -> Path:
    """Return the folder of a split's database: ``train_lmdb``, ``val_lmdb``, ``test_lmdb``."""
    return Path(folder) / f"{split}_lmdb"


def shard(folder: Path, split: str, number: int, count: int) -> Path:
    """Return the folder of a shard: ``train_lmdb-00000-of-00008`` and so on."""
    return Path(folder) / f"{split}_lmdb-{number:05d}-of-{count:05d}"


@dataclass(frozen=True)
class Shard:
    """Database with all faces of a split, or with some of them.

    Attributes:
        path: Folder of the database.
        count: Number of faces.
        file_sha256: Digest of its data.mdb.
    """

    path: Path
    count: int
    file_sha256: str

    def verify(self) -> None:
        """Compare the database with its digest.

        Raises:
            DataSetError: If it is missing or differs.
        """
        file = self.path if is_leveldb(self.path) else self.path / "data.mdb"
        _compare(file, database_sha256(self.path), self.file_sha256)


def shards(folder: Path, manifest: dict[str, Any], split: str) -> list[Shard]:
    """Return the database of a split, or its shards in order."""
    entry = manifest["splits"][split]
    if "database" in entry:  # a database of Caffe's tools, see `caffe_manifest`
        return [Shard(Path(entry["database"]), entry["count"], entry["file_sha256"])]
    listed = entry.get("shards")
    if listed is None:
        return [Shard(database(folder, split), entry["count"], entry["file_sha256"])]
    return [
        Shard(shard(folder, split, number, len(listed)), each["count"], each["file_sha256"])
        for number, each in enumerate(listed)
    ]


def votes_database(folder: Path, split: str) -> Path:
    """Return the folder of the database with FER+ votes: ``train_votes_lmdb`` and so on."""
    return Path(folder) / f"{split}_votes_lmdb"


def is_joined(manifest: dict[str, Any]) -> bool:
    """Return whether the data set was joined from others; their folders contain the detections."""
    return "joined" in manifest.get("source", {})


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write manifest.json into a data set folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=True) + "\n"
    (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a data set, with the current names of its keys.

    Raises:
        DataSetError: If the folder is not a data set, or its manifest is damaged or has another format.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        siblings = (file.parent.name for file in Path(folder).parent.glob(f"*/{FILE_NAME}"))
        similar = closest_match(Path(folder).name, siblings)
        hint = f'did you mean "{Path(folder).parent / similar}"?' if similar else "create one with: fer-lmdb build"
        raise DataSetError(f"{folder} is not a data set: no {FILE_NAME} found; {hint}")
    from fer_lmdb.artifacts.base import read_object
    from fer_lmdb.artifacts.manifest import Manifest

    return read_object(Manifest, path, DataSetError, "build the data set again").to_dict()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        DataSetError: If the file is missing or cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            total = hashlib.sha256()
            while piece := file.read(1 << 20):
                total.update(piece)
            return total.hexdigest()
    except OSError as error:
        raise DataSetError(f"cannot read {path}: {error.strerror}; build the data set again") from None


def verify_sha256(path: Path, expected: str) -> None:
    """Compare a file with its digest in the manifest.

    Raises:
        DataSetError: If the file is missing or differs.
    """
    _compare(path, file_sha256(path), expected)


def database_sha256(path: Path) -> str:
    """Return the SHA-256 of a database's data.mdb, or of all files of a LevelDB.

    Raises:
        DataSetError: If it is missing or cannot be read.
    """
    return leveldb_sha256(path) if is_leveldb(path) else file_sha256(path / "data.mdb")


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise DataSetError(
            f"{path} is damaged: found SHA-256 {found[:12]}..., expected {expected[:12]}...; build the data set again"
        )
