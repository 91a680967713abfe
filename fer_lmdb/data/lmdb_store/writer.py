"""Writing a new database."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

import lmdb
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.lmdb_store.datum import Encoding, encode_datum
from fer_lmdb.data.lmdb_store.digest import add_to_digest
from fer_lmdb.data.lmdb_store.environment import as_store_error
from fer_lmdb.data.lmdb_store.keys import make_key
from fer_lmdb.errors import StoreError

FIRST_MAP_BYTES = 16 << 20
RECORDS_PER_COMMIT = 1000


class LmdbWriter:
    """Writes a new database; use it as a context manager.

    The map starts small and doubles whenever it is full; the records of the commit that
    failed are then put again.

    Args:
        path: the database's folder; made, must not hold a database yet.
        encode: how `append` stores a picture.
        first: number of the first record; that of a shard goes on from the shard before.
        total: a digest that all shards are added to.
    Raises:
        StoreError: the folder holds a database, cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path: Path,
        encode: Encoding = "raw",
        map_bytes: int = FIRST_MAP_BYTES,
        first: int = 0,
        total: hashlib._Hash | None = None,
    ) -> None:
        self.path = Path(path)
        self.encode: Encoding = encode
        self.count = 0
        self._first = first
        self._map_bytes = map_bytes
        self._waiting: list[tuple[bytes, bytes]] = []
        self._digest = hashlib.sha256()
        self._digests = [self._digest, *([total] if total is not None else [])]
        if (self.path / "data.mdb").exists():
            raise StoreError(f"{self.path} holds a database already; choose a new folder")
        with as_store_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # As bytes: lmdb would refuse a path that is not UTF-8.
            self._environment = lmdb.open(os.fsencode(self.path), map_size=map_bytes, sync=False, max_dbs=0)

    def append(self, name: str, image: NDArray[np.uint8], label: int) -> None:
        """Write the next face; its number in the key is how many came before it."""
        self.append_value(name, encode_datum(image, label, self.encode))

    def append_value(self, name: str, value: bytes) -> None:
        """Write the next record with a value made by `encode_datum` or `encode_votes`."""
        key = make_key(self._first + self.count, name)
        self._waiting.append((key, value))
        for digest in self._digests:
            add_to_digest(digest, key, value)
        self.count += 1
        if len(self._waiting) >= RECORDS_PER_COMMIT:
            self._commit()

    @property
    def sha256(self) -> str:
        """Digest of all keys and values written so far, in order; `digest` computes the same from the file."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write what waits, bring it onto the disk and close the database, also where that fails.

        Raises:
            StoreError: it cannot be written, e.g. on a full disk.
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
        self._waiting.clear()

    def _try_commit(self) -> bool:
        """Put everything that waits in one transaction; False where the map is too small for it."""
        try:
            with self._environment.begin(write=True) as transaction:
                for key, value in self._waiting:
                    transaction.put(key, value, append=True)
        except lmdb.MapFullError:
            return False
        return True
