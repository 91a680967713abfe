"""manifest.json: contents, provenance and digests of a data set."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.choices import SPLITS
from fer_lmdb.errors import DataSetError
from fer_lmdb.renames import modernize
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
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataSetError(f"{path} is damaged ({error}); build the data set again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise DataSetError(f'{path} has the format "{found}"; expected "{FORMAT}"; build the data set again')
    if problem := validate_manifest(manifest):
        raise DataSetError(f"{path} is damaged ({problem}); build the data set again")
    return _modernized(manifest)


def _modernized(manifest: dict[str, Any]) -> dict[str, Any]:
    preprocessing = modernize("preprocessing", manifest["preprocessing"])
    splits = {split: modernize("manifest.json, splits", entry) for split, entry in manifest["splits"].items()}
    return modernize("manifest.json", manifest) | {"preprocessing": preprocessing, "splits": splits}


def validate_manifest(manifest: dict[str, Any]) -> str | None:
    """Return the first problem of the required entries, or None."""
    types = {"classes": list, "size": int, "seed": int, "preprocessing": dict, "mean": dict, "splits": dict}
    for key, expected in types.items():
        if not isinstance(manifest.get(key), expected):
            return f"{key} is missing or not of type {expected.__name__}"
    for split, entry in manifest["splits"].items():
        if split not in SPLITS or not isinstance(entry, dict):
            return f'splits has the entry "{split}"'
        if not _has_files(entry) and not _has_shards(entry):
            return f"{split} has no count or digest"
    if not all(isinstance(name, str) for name in manifest["classes"]):
        return "classes has an entry that is not a name"
    if not _has_parts(manifest.get("source", {})):
        return "source has an invalid list of joined data sets"
    return None


def _has_parts(source: Any) -> bool:
    joined = source.get("joined", []) if isinstance(source, dict) else None
    return isinstance(joined, list) and all(
        isinstance(part, dict) and isinstance(part.get("preprocessing"), dict) and _has_parts(part.get("source", {}))
        for part in joined
    )


def _has_files(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("count"), int) and isinstance(entry.get("file_sha256"), str) and "shards" not in entry


def _has_shards(entry: dict[str, Any]) -> bool:
    shards = entry.get("shards")
    if not isinstance(shards, list) or not all(isinstance(each, dict) for each in shards):
        return False
    counts = [each.get("count") for each in shards]
    if not all(isinstance(count, int) for count in counts) or sum(counts) != entry.get("count"):
        return False
    return all(isinstance(each.get("file_sha256"), str) for each in shards)


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
