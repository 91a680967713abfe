"""Sources of labeled images: iterables of `Sample` and `InvalidSample`.

A source yields one image at a time, so that its size is not limited by memory. It yields an `InvalidSample` for each
row or file that cannot be used; the caller decides whether to stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.labels import LabelOrder


@dataclass(frozen=True)
class Sample:
    """One labeled image.

    Attributes:
        name: Path inside a data set, e.g. ``/train/3/01081.png``; part of the LMDB key.
        split: "train", "val" or "test"; empty if the source has no splits.
        label: Class number in the order of the source's `classes`; None if it is not one of them.
        image: (H, W) gray or (H, W, 3) RGB, uint8.
        location: Origin for messages: ``fer2013.csv:17`` or the path of a file.
        row: Number in the source, from 0; FER+ votes are joined by it.
        votes: Ten FER+ vote counts, if any.
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
    """Row or file that cannot be used.

    Attributes:
        location: ``fer2013.csv:17`` or the path of a file.
        reason: What was found and what was expected.
        split: Split that it belongs to, if known.
    """

    location: str
    reason: str
    split: str | None = None


class Source(Protocol):
    """Protocol of sources.

    Attributes:
        name: Name of the file or folder, for the manifest.
        classes: Class names in label order.
    """

    name: str
    classes: tuple[str, ...]

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        """Yield the samples in the source's order."""
        ...

    def size_hint(self) -> int | None:
        """Return the approximate number of samples, or None if unknown; for progress only."""
        ...

    def sha256(self) -> str:
        """Return the digest of the data that was read; valid after the iteration."""
        ...


def numbering(source: Source) -> LabelOrder | None:
    """Return the meaning of the numbers in the names of a source's samples (``/train/3/...``), if it has such names."""
    return getattr(source, "label_order", None)
