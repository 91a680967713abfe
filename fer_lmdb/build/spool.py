"""Faces on their way into a database: kept in a file, in the order in which they came, to be taken out shuffled.

How many faces a split has is known only at its end, and a shuffled database needs that number at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.sources import SPLITS


@dataclass(frozen=True)
class Entry:
    """What a spooled face is called.

    Attributes:
        name: its path inside the data set.
        label: its class in the data set's scheme.
        detection: what the face detector said of it, as JSON without its braces; empty where none ran.
        votes: FER+'s votes, None where there are none.
    """

    name: str
    label: int
    detection: str = ""
    votes: tuple[int, ...] | None = None


@dataclass
class Spool:
    """The faces of one split: pixels in a file, names and labels in memory.

    Args:
        path: the file; made anew.
        size: height and width of every face.
    """

    path: Path
    size: int
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = self.path.open("wb")
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, face: NDArray[np.uint8], entry: Entry) -> None:
        """Append one face, (size, size) uint8."""
        self._file.write(np.ascontiguousarray(face).data)
        self.entries.append(entry)

    def shuffle(self, generator: np.random.Generator) -> None:
        """End the adding and put the entries into a random order."""
        self._file.close()
        self._order = generator.permutation(len(self.entries))
        self.entries = [self.entries[place] for place in self._order]

    def faces(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the face of every entry in the shuffled order, (size, size) uint8."""
        if not self.entries:
            return
        stored = np.memmap(self.path, dtype=np.uint8, mode="r", shape=(len(self.entries), self.size, self.size))
        for place in self._order:
            yield stored[place]

    def remove(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # what waits to be written may find the disk full
            self._file.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def open_spools(folder: Path, size: int) -> Iterator[dict[str, Spool]]:
    """Give a spool for every split; their files are deleted in the end, whatever happens."""
    spools = {split: Spool(folder / f"{split}.spool", size) for split in SPLITS}
    try:
        yield spools
    finally:
        for spool in spools.values():
            spool.remove()


def shuffle(spools: dict[str, Spool], seed: int) -> None:
    """Shuffle every split by itself; the same seed and the same faces give the same order."""
    for number, spool in enumerate(spools.values()):
        spool.shuffle(np.random.default_rng([seed, number]))
