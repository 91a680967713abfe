"""Random access to records, for data sets larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store.datum import parse_datum
from prototxt_like.io.datum_store.environment import as_store_error, open_readonly
from prototxt_like.io.datum_store.keys import key_number, printable_key
from prototxt_like.io.datum_store.reader import iterate_values

if TYPE_CHECKING:
    import lmdb


class LmdbRandomReader:
    """Reads records of a finished database by position.

    An open LMDB environment must not be used after a fork. It is therefore opened for each call, so that a reader can
    be shared with other processes by fork or pickle. `keep_open` makes reading three times as fast, in a process that
    does not fork.

    Args:
        path: Folder of the database. Its keys must be numbered consecutively, as Caffe's tools do.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._first: int | None = None
        self._environment: lmdb.Environment | None = None
        self._open = ExitStack()

    def get(self, positions: Iterable[int]) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of the records at the given positions, counted from 0 in the order of the keys.

        Raises:
            StoreError: If the database is missing or damaged, or its keys are not numbered consecutively.
        """
        own = (
            nullcontext(self._environment)
            if self._environment is not None
            else open_readonly(self.path, readahead=False)
        )
        with as_store_error(self.path), own as environment, environment.begin() as transaction:
            cursor = transaction.cursor()
            if self._first is None:
                self._first = key_number(cursor.key()) if cursor.first() else 0
            for position in positions:
                prefix = b"%08d_" % (self._first + position)
                if not cursor.set_range(prefix) or not cursor.key().startswith(prefix):
                    raise StoreError(_wrong_number(self.path, position, prefix))
                yield cursor.key(), cursor.value()

    def keep_open(self) -> None:
        """Open the database and keep it open."""
        if self._environment is None:
            # Access is random, so read-ahead would only load pages that are not needed.
            self._environment = self._open.enter_context(open_readonly(self.path, readahead=False))

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_first": self._first, "_environment": None, "_open": ExitStack()}


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read all labels of a database and check its keys for `LmdbRandomReader`.

    Raises:
        StoreError: If the database is missing or damaged, or its keys are not numbered consecutively.
    """
    labels, first = [], 0
    for position, (key, value) in enumerate(iterate_values(path)):
        first = key_number(key) if position == 0 else first
        if key_number(key) != first + position:
            raise StoreError(_wrong_number(path, position, b"%08d_" % (first + position)))
        labels.append(parse_datum(value, f"{path}: {printable_key(key)}").label)
    return np.array(labels, dtype=np.int64)


def _wrong_number(path: Path, position: int, prefix: bytes) -> str:
    return (
        f"{path}: the key of record {position} does not begin with {printable_key(prefix)}; streaming needs consecutive"
        " numbers, use --loader memory"
    )
