"""Audit of a data set for identical and near-duplicate faces within and across splits.

A test face that also occurs in the training split, shifted or with a different watermark, does not test
generalization. Results on a data set should therefore state the number of such faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.near_duplicates import THRESHOLD, Faces, GroupIds, group_faces, list_groups
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.images import printable_path
from prototxt_like.io.datum_store import key_name

NOTE_ON_ALIGNED = (
    "aligned faces are similar, so different photos are counted too; audit a set built with --detector none"
)


@dataclass(frozen=True)
class AllFaces:
    """All faces of a data set.

    Attributes:
        splits: Names of the splits.
        keys: N keys.
        images: (N, H, W) uint8.
        labels: (N,) int64.
        split: (N,) int64 positions in `splits`.
    """

    splits: list[str]
    keys: list[str]
    images: Faces
    labels: NDArray[np.int64]
    split: NDArray[np.int64]

    def in_split(self, name: str) -> NDArray[np.bool_]:
        """Return a (N,) mask of the faces of a split."""
        return self.split == self.splits.index(name)


def audit(
    folder: Path,
    threshold: float = THRESHOLD,
    *,
    model: str | None = None,
    data: Path | None = None,
    split: str = "val",
) -> dict[str, Any]:
    """Find near-duplicates in a data set.

    Args:
        folder: Data set, preferably built with ``--detector none``.
        threshold: Minimum correlation of near-duplicates, -1 to 1.
        model: Pretrained model, model file or run folder to evaluate on faces with and without a near-duplicate.
        data: Data set with the model's preprocessing, if it is not `folder`; it must contain the same faces.
        split: Split to evaluate on, "val" or "test". The evaluation is recorded in the model's run folder.

    Returns:
        ``identical`` and ``near`` (including the identical ones), each with the number of groups, the faces in them,
        the size of the largest group, and ``with_near_duplicate_in``: for each split, the number of its faces that
        have a near-duplicate in each split; ``same_label``: for each evaluation split, the faces with a near-duplicate
        in the training split, and those of them with the same label; ``groups``: keys of all near-duplicate groups;
        ``evaluation``: accuracy of the model.

    Raises:
        DataSetError: If `folder` or `data` is damaged or not a data set, or does not match the model or each other.
        ModelError: If the model does not exist.
    """
    dataset = DataSet.open(folder)
    faces = read_faces(dataset)
    identical, near = group_faces(faces.images, threshold)
    document = {
        "note": NOTE_ON_ALIGNED if dataset.manifest.get("detector") != "none" else None,
        "faces": len(faces.keys),
        "threshold": threshold,
        "identical": count_groups(identical, faces),
        "near": count_groups(near, faces),
        "same_label": {name: label_agreement(near, faces, name) for name in faces.splits if name != "train"},
        "groups": [[printable_path(faces.keys[face]) for face in members] for members in list_groups(near)],
    }
    if model is not None:
        from fer_lmdb.inspection.duplicate_accuracy import evaluate_with_and_without  # imports torch

        duplicated = has_near_duplicate(near, faces, split)
        document["evaluation"] = evaluate_with_and_without(duplicated, model, data or folder, split)
    return document


def read_faces(dataset: DataSet) -> AllFaces:
    """Read all splits of a data set.

    Raises:
        DataSetError: If there is no train split, or a split is damaged.
    """
    splits = list(dataset.manifest["splits"])
    if "train" not in splits:
        raise DataSetError(f"{dataset.folder}: no train split to compare with; build the data set with one")
    arrays = [dataset.read(name) for name in splits]
    return AllFaces(
        splits,
        [key for split in arrays for key in split.keys],
        np.concatenate([_to_gray(split.images) for split in arrays]),
        np.concatenate([split.labels for split in arrays]),
        np.repeat(np.arange(len(splits)), [len(split.labels) for split in arrays]),
    )


def _to_gray(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, H, W): the only channel, or the green one, which is closest to gray."""
    return images[:, 0] if images.shape[1] == 1 else images[:, 1]


def count_groups(group_ids: GroupIds, faces: AllFaces) -> dict[str, Any]:
    """Count groups and, for each pair of splits, the faces of one with a near-duplicate in the other."""
    groups = list_groups(group_ids)
    table = {name: dict.fromkeys(faces.splits, 0) for name in faces.splits}
    for members in groups:
        counts = np.bincount(faces.split[members], minlength=len(faces.splits))
        for name, other, count in _pairs_with_duplicate(faces.splits, counts):
            table[name][other] += count
    return {
        "groups": len(groups),
        "faces": sum(map(len, groups)),
        "largest": len(groups[0]) if groups else 0,
        "with_near_duplicate_in": table,
    }


def _pairs_with_duplicate(splits: list[str], counts: NDArray[np.int64]) -> Iterator[tuple[str, str, int]]:
    """Yield for one group each split, a split that contains a near-duplicate, and the number of faces of the first."""
    for here, name in enumerate(splits):
        for there, other in enumerate(splits):
            if counts[there] >= (2 if here == there else 1):
                yield name, other, int(counts[here])


def label_agreement(group_ids: GroupIds, faces: AllFaces, split: str) -> dict[str, int]:
    """Compare the labels of a split with the most frequent label of their near-duplicates in the training split.

    Returns:
        ``with_near_duplicate``: faces with a near-duplicate in the training split; ``same``: those with its label.
    """
    train, own = faces.in_split("train"), faces.in_split(split)
    total = same = 0
    for members in list_groups(group_ids):
        group = np.array(members)
        train_labels, own_labels = faces.labels[group[train[group]]], faces.labels[group[own[group]]]
        if len(train_labels) and len(own_labels):
            total += len(own_labels)
            same += int((own_labels == np.bincount(train_labels).argmax()).sum())
    return {"with_near_duplicate": total, "same": same}


def has_near_duplicate(group_ids: GroupIds, faces: AllFaces, split: str) -> dict[str, bool]:
    """Return for each face of a split, by name, whether the training split contains a near-duplicate.

    Raises:
        DataSetError: If there is no such split.
    """
    if split not in faces.splits:
        raise DataSetError(f"no {split} split; choose one of: {', '.join(faces.splits)}")
    train_groups = np.unique(group_ids[faces.in_split("train")])
    own = np.flatnonzero(faces.in_split(split))
    return {
        key_name(faces.keys[face]): bool(duplicated)
        for face, duplicated in zip(own, np.isin(group_ids[own], train_groups), strict=True)
    }
