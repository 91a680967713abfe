"""Faces on their way into a database: kept in files, in the order in which they came, to be taken out shuffled.

How many faces a split has is known only at its end, and a shuffled database needs that number at its beginning.
In memory is one number a face, so that a build's memory does not grow with names and detections.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources import SPLITS

# Label, and the bytes of name, detection and votes that follow; no votes at all are -1 bytes of them.
_HEAD = struct.Struct("<iIIi")


@dataclass(frozen=True)
class SpoolEntry:
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

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        name, detection = os.fsencode(self.name), self.detection.encode()
        votes = b"" if self.votes is None else struct.pack(f"<{len(self.votes)}i", *self.votes)
        head = _HEAD.pack(self.label, len(name), len(detection), -1 if self.votes is None else len(votes))
        return b"".join((head, name, detection, votes))

    @staticmethod
    def from_bytes(data: mmap.mmap, at: int) -> SpoolEntry:
        """Read the entry that begins at an offset."""
        label, name, detection, votes = _HEAD.unpack_from(data, at)
        first = at + _HEAD.size
        second = first + name
        third = second + detection
        return SpoolEntry(
            os.fsdecode(data[first:second]),
            label,
            data[second:third].decode(),
            None if votes < 0 else struct.unpack_from(f"<{votes // 4}i", data, third),
        )


@dataclass
class Spool:
    """The faces of one split: pixels in one file, what they are called in another.

    Args:
        path: the file of pixels; made anew. The other one is beside it.
        size: height and width of every face.
    """

    path: Path
    size: int
    _offsets: array[int] = field(default_factory=lambda: array("Q"))

    def __post_init__(self) -> None:
        self._pixels = self.path.open("wb")
        self._entries_path = self.path.with_suffix(".entries")
        self._entries = self._entries_path.open("wb")
        self._end = 0
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, face: NDArray[np.uint8], entry: SpoolEntry) -> None:
        """Append one face, (size, size) uint8."""
        self._pixels.write(np.ascontiguousarray(face).data)
        self._offsets.append(self._end)
        self._end += self._entries.write(entry.to_bytes())

    def shuffle(self, generator: np.random.Generator) -> None:
        """End the adding and put the faces into a random order."""
        self._pixels.close()
        self._entries.close()
        self._order = generator.permutation(len(self))

    def entries(self) -> Iterator[SpoolEntry]:
        """Yield what every face is called, in the shuffled order."""
        if not len(self):
            return
        with self._entries_path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for place in self._order:
                yield SpoolEntry.from_bytes(data, self._offsets[place])

    def faces(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every face in the shuffled order, (size, size) uint8."""
        if not len(self):
            return
        stored = np.memmap(self.path, dtype=np.uint8, mode="r", shape=(len(self), self.size, self.size))
        for place in self._order:
            yield stored[place]

    def remove(self) -> None:
        """Delete the files."""
        for file in (self._pixels, self._entries):
            with suppress(OSError):  # what waits to be written may find the disk full
                file.close()
        self.path.unlink(missing_ok=True)
        self._entries_path.unlink(missing_ok=True)


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
