"""Invalid rows and files that a build skipped: a line of unreadable.jsonl."""

from __future__ import annotations

from fer_lmdb.artifacts.base import Artifact, Split


class Unreadable(Artifact):
    """Place, split if it is known, and reason."""

    where: str
    split: Split | None = None
    reason: str
