"""Faces of one or more databases by position."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prototxt_like.errors import StoreError
from prototxt_like.io.datum_store.datum import decode_datum
from prototxt_like.io.datum_store.keys import printable_key
from prototxt_like.io.datum_store.random_access import LmdbRandomReader
from prototxt_like.limits import format_shape


class LmdbFaces:
    """Random access to the concatenated faces of databases; picklable and safe to use after a fork.

    Args:
        parts: Folder and number of records of each database.
    """

    def __init__(self, parts: Sequence[tuple[Path, int]]) -> None:
        self.readers = [LmdbRandomReader(path) for path, _ in parts]
        self._ends = np.cumsum([count for _, count in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read faces in any order, each database in the order of its pages.

        Args:
            positions: (n,) int64.

        Returns:
            (n, C, H, W) uint8.

        Raises:
            StoreError: If a database is missing or damaged, or its images differ in size.
        """
        faces: NDArray[np.uint8] | None = None
        in_order = np.argsort(positions, kind="stable")
        databases = np.searchsorted(self._ends, positions[in_order], side="right")
        for number in np.unique(databases):
            reader, begin = self.readers[number], self._ends[number - 1] if number else 0
            rows = in_order[databases == number]
            for row, (key, value) in zip(rows, reader.get((positions[rows] - begin).tolist()), strict=True):
                face, _ = decode_datum(value, f"{reader.path}: {printable_key(key)}")
                if faces is None:
                    faces = np.empty((len(positions), *face.shape), dtype=np.uint8)
                if face.shape != faces.shape[1:]:
                    raise StoreError(
                        f"{reader.path} holds images of {format_shape(face.shape)} and of "
                        f"{format_shape(faces.shape[1:])}, expected one size; write the database again"
                    )
                faces[row] = face
        return np.empty((0, 1, 0, 0), dtype=np.uint8) if faces is None else faces

    def keep_open(self) -> None:
        """Keep the databases open, in a process that does not fork."""
        for reader in self.readers:
            reader.keep_open()
