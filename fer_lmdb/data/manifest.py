"""manifest.json: what a built data set holds, how it was made, and how to know that it is unharmed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.errors import DataSetError
from fer_lmdb.renames import modernize
from prototxt_like.suggest import closest_match

FORMAT = "fer-lmdb data set 1"
FILE_NAME = "manifest.json"
MEAN_NAME = "mean.binaryproto"
DETECTIONS_NAME = "detections.jsonl"
UNREADABLE_NAME = "unreadable.jsonl"


def database(folder: Path, split: str) -> Path:
    """Return the folder of a split's database: ``train_lmdb``, ``val_lmdb``, ``test_lmdb``."""
    return Path(folder) / f"{split}_lmdb"


def shard(folder: Path, split: str, number: int, count: int) -> Path:
    """Return the folder of one of a split's shards: ``train_lmdb-00000-of-00008`` and so on."""
    return Path(folder) / f"{split}_lmdb-{number:05d}-of-{count:05d}"


@dataclass(frozen=True)
class Shard:
    """One of the databases that make up a split.

    Attributes:
        path: its folder.
        count: how many faces it holds.
        file_sha256: digest of its data.mdb.
    """

    path: Path
    count: int
    file_sha256: str

    def verify(self) -> None:
        """Compare the database with its digest.

        Raises:
            DataSetError: it is missing or differs.
        """
        verify_sha256(self.path / "data.mdb", self.file_sha256)


def shards(folder: Path, manifest: dict[str, Any], split: str) -> list[Shard]:
    """Return the databases of a split in the order of its faces: a single one, or its shards."""
    facts = manifest["splits"][split]
    listed = facts.get("shards")
    if listed is None:
        return [Shard(database(folder, split), facts["count"], facts["file_sha256"])]
    return [
        Shard(shard(folder, split, number, len(listed)), each["count"], each["file_sha256"])
        for number, each in enumerate(listed)
    ]


def votes_database(folder: Path, split: str) -> Path:
    """Return the folder of the database with FER+'s votes: ``train_votes_lmdb`` and so on."""
    return Path(folder) / f"{split}_votes_lmdb"


def is_joined(manifest: dict[str, Any]) -> bool:
    """Tell whether the faces come from other data sets, which keep what was detected in their pictures."""
    return "joined" in manifest.get("source", {})


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write manifest.json into a data set folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=True) + "\n"
    (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a data set's manifest.

    Returns:
        the document.
    Raises:
        DataSetError: the folder is no data set, or its manifest is damaged or of another format.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        beside = closest_match(
            Path(folder).name, (file.parent.name for file in Path(folder).parent.glob(f"*/{FILE_NAME}"))
        )
        hint = f'did you mean "{Path(folder).parent / beside}"?' if beside else "make one with: fer-lmdb build"
        raise DataSetError(f"{folder} is no data set (it has no {FILE_NAME}); {hint}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataSetError(f"{path} is damaged ({error}); build the data set again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise DataSetError(f'{path} has the format "{found}"; expected "{FORMAT}"; build the data set again')
    if problem := validate_manifest(manifest):
        raise DataSetError(f"{path} is damaged ({problem}); build the data set again")
    manifest["preprocessing"] = modernize("preprocessing", manifest["preprocessing"])
    return manifest


def validate_manifest(manifest: dict[str, Any]) -> str | None:
    """Return what is wrong with the entries that others rely on, None where nothing is."""
    kinds = {"classes": list, "size": int, "seed": int, "preprocessing": dict, "mean": dict, "splits": dict}
    for key, kind in kinds.items():
        if not isinstance(manifest.get(key), kind):
            return f"{key} is missing or no {kind.__name__}"
    for split, facts in manifest["splits"].items():
        if split not in ("train", "val", "test") or not isinstance(facts, dict):
            return f'splits has the entry "{split}"'
        if not _has_files(facts) and not _has_shards(facts):
            return f"{split} lacks its count or digest"
    if not all(isinstance(name, str) for name in manifest["classes"]):
        return "classes holds something that is no name"
    if not _has_parts(manifest.get("source", {})):
        return "source does not tell what was joined"
    return None


def _has_parts(source: Any) -> bool:
    joined = source.get("joined", []) if isinstance(source, dict) else None
    return isinstance(joined, list) and all(
        isinstance(part, dict) and isinstance(part.get("preprocessing"), dict) and _has_parts(part.get("source", {}))
        for part in joined
    )


def _has_files(facts: dict[str, Any]) -> bool:
    return isinstance(facts.get("count"), int) and isinstance(facts.get("file_sha256"), str) and "shards" not in facts


def _has_shards(facts: dict[str, Any]) -> bool:
    shards = facts.get("shards")
    if not isinstance(shards, list) or not all(isinstance(each, dict) for each in shards):
        return False
    counts = [each.get("count") for each in shards]
    if not all(isinstance(count, int) for count in counts) or sum(counts) != facts.get("count"):
        return False
    return all(isinstance(each.get("file_sha256"), str) for each in shards)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        DataSetError: the file is missing or cannot be read.
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
    """Compare a file with the digest that the manifest has for it.

    Raises:
        DataSetError: it is missing or differs.
    """
    found = file_sha256(path)
    if found != expected:
        raise DataSetError(
            f"{path} is damaged: its SHA-256 begins {found[:12]}, the manifest says {expected[:12]};"
            " build the data set again"
        )
