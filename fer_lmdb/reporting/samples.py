"""Faces of the training split: some of every class, and the mean of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile

PER_CLASS = 8


def samples(faces: SplitArrays, classes: Sequence[str], seed: int) -> ImageGrid:
    """Show some faces of every class.

    Args:
        faces: the training split.
        classes: names in label order.
        seed: which faces are drawn.
    """
    generator = np.random.default_rng(seed)
    groups = []
    for label, name in enumerate(classes):
        chosen = generator.permutation(np.flatnonzero(faces.labels == label))[:PER_CLASS]
        groups.append(Group(name, [Tile(faces.images[index, 0]) for index in chosen]))
    caption = f"Drawn at random (seed {seed}) from the train split, N = {len(faces.labels):,}, as the net gets them."
    return ImageGrid("samples", "Samples of every class", groups, caption, columns=PER_CLASS, width=118)


def class_means(faces: SplitArrays, classes: Sequence[str]) -> ImageGrid:
    """Show the mean of all faces, which training subtracts, and that of every class that has faces."""
    tiles = [_mean(faces, np.full(len(faces.labels), True), "all")]
    for label, name in enumerate(classes):
        own = faces.labels == label
        if own.any():
            tiles.append(_mean(faces, own, name))
    size = "{} x {}".format(*faces.images.shape[:1:-1])
    caption = f"The mean of the train split and of every class in it, {size} pixels."
    return ImageGrid("mean-faces", "Mean faces", [Group("", tiles)], caption, columns=len(tiles), width=118)


def _mean(faces: SplitArrays, which: np.ndarray, name: str) -> Tile:
    mean = np.rint(faces.images[which, 0].mean(axis=0)).astype(np.uint8)
    return Tile(mean, (name, f"N = {int(which.sum()):,}"))
