"""Random splits of a source that has none, with near-duplicates in one split.

The source is read twice: first for a small gray copy of each image, in which near-duplicates are found, then for the
samples. A near-duplicate of a training face in the test split would make the result too good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.near_duplicates import group_faces
from fer_lmdb.data.sources import InvalidSample, Sample, Source, numbering
from fer_lmdb.data.split_ratio import SplitRatio
from fer_lmdb.labels import LabelOrder

THUMBNAIL_SIDE = 48
"""Side of the copies in which near-duplicates are compared."""

Groups = NDArray[np.int64]


class RandomSplits:
    """Source that assigns the samples of another source to splits.

    Args:
        source: The samples. Those of the split `unsplit` are assigned, the others keep their split.
        unsplit: "" for a source without splits, "train" for one that lacks only a validation split.
        ratio: Relative sizes of the splits.
        seed: Seed of the assignment.
    """

    def __init__(self, source: Source, unsplit: str, ratio: SplitRatio, seed: int = 0) -> None:
        self.source = source
        self.name = source.name
        self.classes = source.classes
        self.unsplit = unsplit
        self.ratio = ratio
        self.seed = seed
        self._split_of: dict[int, str] = {}
        self._near_duplicates = 0

    @property
    def label_order(self) -> LabelOrder | None:
        """Meaning of the numbers in the names of the samples."""
        return numbering(self.source)

    @property
    def summary(self) -> dict[str, Any]:
        """Settings and number of faces with a near-duplicate, for the manifest; valid after the iteration."""
        return {"ratio": str(self.ratio), "seed": self.seed, "near_duplicates": self._near_duplicates}

    def size_hint(self) -> int | None:
        """Return the size hint of the source."""
        return self.source.size_hint()

    def sha256(self) -> str:
        """Return the digest of the source."""
        return self.source.sha256()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        self._assign()
        for item in self.source:
            yield self._place(item) if isinstance(item, Sample) and item.split == self.unsplit else item

    def _place(self, sample: Sample) -> Sample:
        split = self._split_of[sample.row]
        return replace(sample, split=split, name=f"/{split}/{sample.name.split('/', 2)[2]}")

    def _assign(self) -> None:
        rows, labels, thumbnails = [], [], []
        for item in self.source:
            if isinstance(item, Sample) and item.split == self.unsplit:
                rows.append(item.row)
                labels.append(-1 if item.label is None else item.label)
                thumbnails.append(make_thumbnail(item.image))
        if not rows:
            return
        _, groups = group_faces(np.stack(thumbnails))
        self._near_duplicates = int((np.bincount(groups)[groups] > 1).sum())
        fractions = self.ratio.held_out(test=self.unsplit == "")
        self._split_of = dict(zip(rows, split_groups(groups, np.array(labels), fractions, self.seed), strict=True))


def make_thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a small gray copy of a gray or RGB image."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def split_groups(groups: Groups, labels: Groups, fractions: Mapping[str, float], seed: int) -> list[str]:
    """Assign whole groups to splits, a fraction of each class to each split and the rest to training.

    Each split gets at least one face of a class that has enough groups. A group with several labels counts as one of
    its first face.

    Args:
        groups: (N,) group IDs, 0 to the number of groups.
        labels: (N,) labels.
        fractions: Fraction of the faces for each split other than train.
        seed: Seed of the assignment.

    Returns:
        N names of splits.
    """
    _, first = np.unique(groups, return_index=True)
    sizes, label_of = np.bincount(groups), labels[first]
    split_of = ["train"] * len(sizes)
    for number, label in enumerate(np.unique(labels)):
        members = np.flatnonzero(label_of == label)
        order = np.random.default_rng([seed, number]).permutation(members).tolist()
        total = int(sizes[members].sum())
        for split, fraction in fractions.items():
            enough = fraction > 0 and len(order) > len(fractions)
            left = max(round(fraction * total), int(enough))
            for group in order.copy():
                if sizes[group] <= left:
                    split_of[group] = split
                    order.remove(group)
                    left -= int(sizes[group])
    return [split_of[group] for group in groups]
