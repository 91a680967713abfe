"""manifest.json of a data set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from fer_lmdb.artifacts.base import Artifact, ClassNames, Count, Digest, Split
from fer_lmdb.artifacts.fingerprint import DataSource
from fer_lmdb.artifacts.preprocessing import StoredPreprocessing

FORMAT = "fer-lmdb data set 1"


class ShardRecord(Artifact):
    """One of several databases of a split."""

    count: Count
    sha256: str | None = None
    file_sha256: str


class SplitRecord(Artifact):
    """Counts and digests of a split, in one database or in shards."""

    renamed: ClassVar[str] = "manifest.json, splits"

    count: Count
    detected: Count = 0
    unaligned: Count = 0
    dropped: Count = 0
    unlabeled: Count = 0
    unreadable: Count = 0
    per_class: dict[str, Count] = Field(default_factory=dict)
    sha256: str | None = None
    file_sha256: str | None = None
    shards: Annotated[list[ShardRecord], Field(min_length=1)] | None = None
    votes_sha256: str | None = None
    votes_file_sha256: str | None = None

    @model_validator(mode="after")
    def _has_databases(self) -> SplitRecord:
        if (self.file_sha256 is None) == (self.shards is None):
            raise ValueError("a split with either file_sha256 or shards")
        if self.shards is not None and sum(shard.count for shard in self.shards) != self.count:
            raise ValueError(f"shards with {self.count} faces in all")
        return self


class MeanRecord(Artifact):
    """Mean image."""

    file: str | None = None
    sha256: Digest


class Manifest(Artifact):
    """Contents, provenance and digests of a data set."""

    renamed: ClassVar[str] = "manifest.json"

    format: Literal["fer-lmdb data set 1"]
    scheme: Annotated[str, Field(min_length=1, max_length=200)] = "custom"
    classes: ClassNames
    size: Annotated[int, Field(ge=1, le=4096)]
    detector: str | None = None
    align: str | None = None
    preprocessing: StoredPreprocessing
    on_no_face: str | None = None
    seed: Count
    encoding: str | None = None
    opencv: str | None = None
    source: DataSource = Field(default_factory=DataSource)
    mean: MeanRecord
    unreadable: Count = 0
    splits: dict[Split, SplitRecord]
