"""A digest of content: databases with equal keys and values have the same, however LMDB laid out their pages."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fer_lmdb.data.lmdb_store.reader import iterate_values


def digest(*paths: Path) -> str:
    """Return the SHA-256 over all keys and values in order; databases with equal content have the same, cut or not."""
    total = hashlib.sha256()
    for path in paths:
        for key, value in iterate_values(path):
            add_to_digest(total, key, value)
    return total.hexdigest()


def add_to_digest(total: hashlib._Hash, key: bytes, value: bytes) -> None:
    """Lengths go in too, so that no other cut between keys and values has the same digest."""
    total.update(b"%d %d " % (len(key), len(value)))
    total.update(key)
    total.update(value)
