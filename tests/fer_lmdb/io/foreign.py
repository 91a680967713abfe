"""Files of a user: what a call must not change."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def count_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Check that no byte below a folder changes and no file is added."""
    before, size = digests(folder), count_bytes(folder)
    yield
    assert count_bytes(folder) == size
    assert digests(folder) == before
