"""Identity of the data that a run was trained on, see `DataSet.fingerprint`."""

from __future__ import annotations

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, Count, Text
from fer_lmdb.artifacts.preprocessing import StoredPreprocessing


class JoinedPart(Artifact):
    """Data set that was joined into another."""

    preprocessing: StoredPreprocessing
    source: DataSource = Field(default_factory=lambda: DataSource())


class DataSource(Artifact):
    """Where the images of a data set come from."""

    name: Text | None = None
    sha256: str | None = None
    rows: Count | None = None
    joined: list[JoinedPart] = Field(default_factory=list)


class Fingerprint(Artifact):
    """Source, counts and digests of a data set."""

    source: DataSource = Field(default_factory=DataSource)
    counts: dict[str, Count] = Field(default_factory=dict)
    sha256: dict[str, str | None] = Field(default_factory=dict)
    seed: Count | None = None
    opencv: str | None = None


JoinedPart.model_rebuild()
