"""Write databases."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store.datum import Encoding, encode_datum
from prototxt_like.io.datum_store.digest import add_to_digest
from prototxt_like.io.datum_store.environment import as_store_error
from prototxt_like.io.datum_store.keys import make_key

FIRST_MAP_BYTES = 16 << 20
RECORDS_PER_COMMIT = 1000


class LmdbWriter:
    """Context manager that writes a new database.

    The map starts small and doubles when it is full; the records of the failed commit are then written again.

    Args:
        path: Folder to create; it must not contain a database.
        encoding: Encoding of images, "raw" or "png".
        map_bytes: Initial size of the map.
        first: Number of the first record; a shard continues the numbering of the previous one.
        total: Digest that is updated with the records of all shards.

    Attributes:
        count: Records written.

    Raises:
        StoreError: If the folder contains a database or cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding = "raw",
        map_bytes: int = FIRST_MAP_BYTES,
        first: int = 0,
        total: hashlib._Hash | None = None,
    ) -> None:
        import lmdb

        self.path = Path(path)
        self.encoding: Encoding = encoding
        self.count = 0
        self._first = first
        self._map_bytes = map_bytes
        self._pending: list[tuple[bytes, bytes]] = []
        self._digest = hashlib.sha256()
        self._digests = [self._digest, *([total] if total is not None else [])]
        if (self.path / "data.mdb").exists():
            raise StoreError(f"{self.path} already contains a database; choose a new folder")
        with as_store_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # As bytes, since lmdb rejects a str that is not UTF-8.
            self._environment = lmdb.open(os.fsencode(self.path), map_size=map_bytes, sync=False, max_dbs=0)

    def append(self, name: str, image: NDArray[np.uint8], label: int) -> None:
        """Append one image, see `encode_datum`; its key is numbered consecutively."""
        self.append_value(name, encode_datum(image, label, self.encoding))

    def append_value(self, name: str, value: bytes) -> None:
        """Append a record with a value from `encode_datum` or `encode_votes`."""
        key = make_key(self._first + self.count, name)
        self._pending.append((key, value))
        for digest in self._digests:
            add_to_digest(digest, key, value)
        self.count += 1
        if len(self._pending) >= RECORDS_PER_COMMIT:
            self._commit()

    @property
    def sha256(self) -> str:
        """Digest of the keys and values written so far; equals `digest` of the finished database."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Commit and sync the remaining records and close the database.

        Raises:
            StoreError: If it cannot be written, e.g. on a full disk.
        """
        try:
            with as_store_error(self.path):
                self._commit()
                self._environment.sync(True)
        finally:
            self._environment.close()

    def __enter__(self) -> LmdbWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._environment.close()

    def _commit(self) -> None:
        with as_store_error(self.path):
            while not self._try_commit():
                self._map_bytes *= 2
                self._environment.set_mapsize(self._map_bytes)
        self._pending.clear()

    def _try_commit(self) -> bool:
        """Write the pending records in one transaction; return False if the map is too small."""
        import lmdb

        try:
            with self._environment.begin(write=True) as transaction:
                for key, value in self._pending:
                    transaction.put(key, value, append=True)
        except lmdb.MapFullError:
            return False
        return True
