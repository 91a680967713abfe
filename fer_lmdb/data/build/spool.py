"""Temporary files of the faces of a build, written in source order and read in shuffled order.

The number of faces in a split is known only at the end, but a shuffled database needs it at the beginning. Memory holds
one number per face, so that it does not grow with names and detections.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import SPLITS

# Label, then the lengths in bytes of name, detection and votes; -1 for missing votes.
_HEAD = struct.Struct("<iIIi")


@dataclass(frozen=True)
class SpoolEntry:
    """Metadata of a spooled face.

    Attributes:
        name: Path inside the data set.
        label: Class in the data set's scheme.
        detection: Fields for detections.jsonl; None if no detector ran.
        votes: FER+ votes, if any.
    """

    name: str
    label: int
    detection: dict[str, Any] | None = None
    votes: tuple[int, ...] | None = None

    def to_bytes(self) -> bytes:
        """Serialize the entry for `from_bytes`."""
        name = os.fsencode(self.name)
        detection = b"" if self.detection is None else json.dumps(self.detection).encode()
        votes = b"" if self.votes is None else struct.pack(f"<{len(self.votes)}i", *self.votes)
        head = _HEAD.pack(self.label, len(name), len(detection), -1 if self.votes is None else len(votes))
        return b"".join((head, name, detection, votes))

    @staticmethod
    def from_bytes(data: mmap.mmap, offset: int) -> SpoolEntry:
        """Read the entry at an offset."""
        label, name, detection, votes = _HEAD.unpack_from(data, offset)
        first = offset + _HEAD.size
        second = first + name
        third = second + detection
        return SpoolEntry(
            os.fsdecode(data[first:second]),
            label,
            json.loads(data[second:third]) if detection else None,
            None if votes < 0 else struct.unpack_from(f"<{votes // 4}i", data, third),
        )


@dataclass
class Spool:
    """Faces of one split: pixels in one file, entries in another beside it.

    Args:
        path: File of the pixels; replaced if it exists.
        size: Height and width of the faces.
        channels: 1 for gray, 3 for color.
    """

    path: Path
    size: int
    channels: int = 1
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
        """Append one face, (size, size) or (channels, size, size) uint8."""
        self._pixels.write(np.ascontiguousarray(face).data)
        self._offsets.append(self._end)
        self._end += self._entries.write(entry.to_bytes())

    def shuffle(self, generator: np.random.Generator | None) -> None:
        """Close the files for writing and draw the order of the faces; None keeps that of the source."""
        self._pixels.close()
        self._entries.close()
        self._order = np.arange(len(self)) if generator is None else generator.permutation(len(self))

    def entries(self) -> Iterator[SpoolEntry]:
        """Yield the entries in shuffled order."""
        if not len(self):
            return
        with self._entries_path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for position in self._order:
                yield SpoolEntry.from_bytes(data, self._offsets[position])

    def faces(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the faces in shuffled order, (channels, size, size) uint8 each."""
        if not len(self):
            return
        stored = np.memmap(self.path, dtype=np.uint8, mode="r", shape=(len(self), self.channels, self.size, self.size))
        for position in self._order:
            yield stored[position]

    def remove(self) -> None:
        """Delete the files."""
        for file in (self._pixels, self._entries):
            with suppress(OSError):  # flushing fails on a full disk
                file.close()
        self.path.unlink(missing_ok=True)
        self._entries_path.unlink(missing_ok=True)


@contextmanager
def open_spools(folder: Path, size: int, channels: int = 1) -> Iterator[dict[str, Spool]]:
    """Yield a spool for each split; their files are deleted at the end."""
    spools = {split: Spool(folder / f"{split}.spool", size, channels) for split in SPLITS}
    try:
        yield spools
    finally:
        for spool in spools.values():
            spool.remove()


def shuffle(spools: dict[str, Spool], seed: int | None) -> None:
    """Shuffle each split; the order depends on the seed and the number of faces only. None keeps that of the source."""
    for number, spool in enumerate(spools.values()):
        spool.shuffle(None if seed is None else np.random.default_rng([seed, number]))
