"""Invalid rows and files that a build skipped: a line of unreadable.jsonl."""

from __future__ import annotations

from fer_lmdb.artifacts.base import Artifact, Split, Text


class Unreadable(Artifact):
    """Place, split if it is known, and reason."""

    where: Text
    split: Split | None = None
    reason: Text
