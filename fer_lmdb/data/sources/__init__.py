"""Where pictures come from; every source yields the same thing, a `Sample` or a `InvalidSample`.

A source is an iterable. It holds one picture at a time, so that a data set of any size can be read.
What it cannot use it yields as a `InvalidSample`, in the place where it stood, and goes on; whether that stops
the build is the builder's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """One labelled picture.

    Attributes:
        name: its path inside a data set, e.g. ``/train/3/01081.png``; becomes part of the LMDB key.
        split: "train", "val" or "test".
        label: its class, in the order of the source's `classes`; None where it belongs to none of them.
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        location: where it stood, for messages: ``fer2013.csv:17`` or the path of a file.
        row: its number in the source, counted from 0; FER+ votes are joined by it.
        votes: the votes of FER+, (10,) int, None where there are none.
    """

    name: str
    split: str
    label: int | None
    image: NDArray[np.uint8]
    location: str
    row: int
    votes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class InvalidSample:
    """A row or file that cannot be used.

    Attributes:
        location: ``fer2013.csv:17`` or the path of a file.
        reason: what was found and what was expected.
        split: the split that it belongs to, None where that cannot be told.
    """

    location: str
    reason: str
    split: str | None = None


class Source(Protocol):
    """What a builder needs to know of a source.

    Attributes:
        name: the file or folder's name, for the manifest.
        classes: the names of the classes that its labels number.
    """

    name: str
    classes: tuple[str, ...]

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        """Yield every picture in the source's own order."""
        ...

    def size_hint(self) -> int | None:
        """About how many samples there are, None where that is not known; for progress only."""
        ...

    def sha256(self) -> str:
        """The digest of what was read; valid after the iteration has ended."""
        ...
