"""Records by their place, for data sets that stay on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import lmdb
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.lmdb_store.datum import parse_datum
from fer_lmdb.data.lmdb_store.environment import as_store_error, open_readonly
from fer_lmdb.data.lmdb_store.keys import key_number, printable_key
from fer_lmdb.data.lmdb_store.reader import iterate_values
from fer_lmdb.errors import StoreError


class LmdbRandomReader:
    """Finds records of a finished database by their place, without reading the others.

    An LMDB that is open does not survive a fork. So it is opened for each call and closed again, and any number of
    processes may use one `LmdbRandomReader`, inherit it or have it sent. A process that will not fork any more
    says `keep_open`: a batch is then read three times as fast.

    Args:
        path: the database's folder. Its keys have to be numbered without a gap, as ours and Caffe's are.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._first: int | None = None
        self._kept: lmdb.Environment | None = None
        self._open = ExitStack()

    def get(self, places: Iterable[int]) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of the records at those places, counted from 0 in the order of the keys.

        Raises:
            StoreError: the database is missing, damaged or not numbered.
        """
        own = nullcontext(self._kept) if self._kept is not None else open_readonly(self.path, readahead=False)
        with as_store_error(self.path), own as environment, environment.begin() as transaction:
            cursor = transaction.cursor()
            if self._first is None:
                self._first = key_number(cursor.key()) if cursor.first() else 0
            for place in places:
                prefix = b"%08d_" % (self._first + place)
                if not cursor.set_range(prefix) or not cursor.key().startswith(prefix):
                    raise StoreError(_no_such_number(self.path, place, prefix))
                yield cursor.key(), cursor.value()

    def keep_open(self) -> None:
        """Open the database and leave it open."""
        if self._kept is None:
            # What lies beside a record that was drawn by chance is not needed next: no read-ahead.
            self._kept = self._open.enter_context(open_readonly(self.path, readahead=False))

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_first": self._first, "_kept": None, "_open": ExitStack()}


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read the labels of a database in one pass, and make sure that `LmdbRandomReader` finds every one by its place.

    Raises:
        StoreError: the database is missing, damaged, or its keys are not numbered without a gap.
    """
    labels, first = [], 0
    for place, (key, value) in enumerate(iterate_values(path)):
        first = key_number(key) if place == 0 else first
        if key_number(key) != first + place:
            raise StoreError(_no_such_number(path, place, b"%08d_" % (first + place)))
        labels.append(parse_datum(value, f"{path}: {printable_key(key)}").label)
    return np.array(labels, dtype=np.int64)


def _no_such_number(path: Path, place: int, prefix: bytes) -> str:
    return (
        f"{path}: record {place} should have a key that begins {printable_key(prefix)}; a database whose keys are not"
        " numbered one by one has to be read as a whole: --loader memory"
    )
