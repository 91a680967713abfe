"""Content digest, independent of the layout of LMDB's pages."""

from __future__ import annotations

import hashlib
from pathlib import Path

from prototxt_like.io.datum_store.reader import iterate_values


def digest(*paths: Path) -> str:
    """Return the SHA-256 of all keys and values in order; shards give the digest of the unsharded database."""
    total = hashlib.sha256()
    for path in paths:
        for key, value in iterate_values(path):
            add_to_digest(total, key, value)
    return total.hexdigest()


def add_to_digest(total: hashlib._Hash, key: bytes, value: bytes) -> None:
    """Update a digest with a record. Lengths are included, so that key and value cannot be confused."""
    total.update(b"%d %d " % (len(key), len(value)))
    total.update(key)
    total.update(value)
