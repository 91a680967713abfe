"""Sample faces and mean faces per class of the training split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_lmdb.io.pixels import from_planes
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile
from prototxt_like.io.datum_store import SplitArrays

PER_CLASS = 8


def samples(faces: SplitArrays, classes: Sequence[str], seed: int) -> ImageGrid:
    """Show random faces of each class.

    Args:
        faces: Training split.
        classes: Class names in label order.
        seed: Seed of the selection.
    """
    generator = np.random.default_rng(seed)
    groups = []
    for label, name in enumerate(classes):
        chosen = generator.permutation(np.flatnonzero(faces.labels == label))[:PER_CLASS]
        groups.append(Group(name, [Tile(from_planes(faces.images[index])) for index in chosen]))
    caption = f"Random sample (seed {seed}) of the train split, N = {len(faces.labels):,}, after preprocessing."
    return ImageGrid("samples", "Samples per class", groups, caption, columns=PER_CLASS, width=118)


def class_means(faces: SplitArrays, classes: Sequence[str]) -> ImageGrid:
    """Show the mean of all faces, which is subtracted in training, and of each class with faces."""
    tiles = [_mean(faces, np.full(len(faces.labels), True), "all")]
    for label, name in enumerate(classes):
        own = faces.labels == label
        if own.any():
            tiles.append(_mean(faces, own, name))
    size = "{} x {}".format(*faces.images.shape[:1:-1])
    caption = f"Mean of the train split and of each of its classes, {size} pixels."
    return ImageGrid("mean-faces", "Mean faces", [Group("", tiles)], caption, columns=len(tiles), width=118)


def _mean(faces: SplitArrays, mask: np.ndarray, name: str) -> Tile:
    mean = np.rint(faces.images[mask].mean(axis=0)).astype(np.uint8)
    return Tile(from_planes(mean), (name, f"N = {int(mask.sum()):,}"))
