"""Identical and near-identical faces inside and across the splits of a data set.

A face that stands in the test split and, a little shifted or with another watermark, in the training split as well
is no test. How many there are belongs beside every figure.

Two faces are twins where the middle of the one is found in the other or in its mirror image, up to a shift of a few
pixels, with a correlation of at least `THRESHOLD`. Looked at by eye, pairs of FER2013 above 0.92 are the same
photograph without exception, and between 0.8 and 0.85 hardly any is. Candidates come from comparing all faces, shrunk
to 12 x 12 pixels, with all others.

Aligned faces resemble each other too much for this: of pairs between 0.92 and 0.94 a fifth is the same photograph.
So a data set built with ``--detector none`` has to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_lmdb.data import manifest as manifests
from fer_lmdb.data.lmdb_store import key_name, read_split
from fer_lmdb.data.manifest import read_manifest
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.images import printable_path

THRESHOLD = 0.92
CANDIDATE = 0.9
SMALL_SIDE = 12
MAX_SHIFT = 1 / 12
ROWS_AT_ONCE = 512

NOTE_ON_ALIGNED = "aligned faces resemble each other: strangers are counted too; build with --detector none to audit"

Faces = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class AllFaces:
    """All faces of a data set.

    Attributes:
        splits: names of the splits that there are.
        keys: N keys.
        images: (N, H, W) uint8.
        labels: (N,) int64.
        split: (N,) int64, position in `splits`.
    """

    splits: list[str]
    keys: list[str]
    images: Faces
    labels: Numbers
    split: Numbers


def audit(
    folder: Path,
    threshold: float = THRESHOLD,
    *,
    model: str | None = None,
    data: Path | None = None,
    split: str = "val",
) -> dict[str, Any]:
    """Look for twins in a data set.

    Args:
        folder: the data set, best one built without detection.
        threshold: correlation from which two faces are the same photograph.
        model: a shipped model's name, a model file or a run folder, to be measured on faces with and without a twin.
        data: the data set that the model was made for, where it is another one with the same pictures.
        split: whose faces measure the model; "test" is recorded in the figures of a run.
    Returns:
        ``identical`` and ``near`` (which counts the identical ones, too), each with the number of groups, the faces
        in them, the largest, and ``with_twin_in``: of every split the faces that have a twin in every split;
        ``same_label``: of the evaluated faces with a twin in the training split, those whose twins say their label;
        ``groups``: keys of all near groups; ``explains``: the model's figures.
    Raises:
        DataSetError: it is no data set, or damaged, or ``data`` holds other pictures or labels than the model's.
        ModelError: there is no such model.
    """
    faces = read_all(folder)
    identical, near = group(faces.images, threshold)
    aligned = read_manifest(folder).get("detector") != "none"
    document = {
        "note": NOTE_ON_ALIGNED if aligned else None,
        "faces": len(faces.keys),
        "threshold": threshold,
        "identical": count_groups(identical, faces),
        "near": count_groups(near, faces),
        "same_label": {name: label_agreement(near, faces, name) for name in faces.splits if name != "train"},
        "groups": [[printable_path(faces.keys[face]) for face in members] for members in groups_of(near)],
    }
    if model is not None:
        document["explains"] = explain(names_with_near_duplicate(near, faces, split), model, data or folder, split)
    return document


def read_all(folder: Path) -> AllFaces:
    """Read all splits of a data set."""
    manifest = read_manifest(folder)
    splits = list(manifest["splits"])
    if "train" not in splits:
        raise DataSetError(f"{folder} has no train split to compare with")
    parts, numbers = [], []
    for number, name in enumerate(splits):
        for part in manifests.shards(folder, manifest, name):
            part.verify()
            parts.append(read_split(part.path))
            numbers.append(number)
    return AllFaces(
        splits,
        [key for part in parts for key in part.keys],
        np.concatenate([part.images[:, 0] for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.repeat(np.array(numbers), [len(part.labels) for part in parts]),
    )


# ------------------------------------------------------------------ finding


def group(images: Faces, threshold: float = THRESHOLD) -> tuple[Numbers, Numbers]:
    """Number the groups of identical and of near-identical faces.

    Args:
        images: (N, H, W) uint8.
        threshold: as `audit`.
    Returns:
        (N,) group numbers twice; faces of one number belong together. Twins of twins are twins.
    """
    flat = np.ascontiguousarray(images.reshape(len(images), -1))
    rows = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    _, first, identical = np.unique(rows, return_index=True, return_inverse=True)
    pairs = list(near_pairs(images[first], threshold))
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (one, other)), shape=(len(first), len(first)))
    _, component = connected_components(links, directed=False)
    return identical.ravel().astype(np.int64), component[identical.ravel()].astype(np.int64)


def near_pairs(images: Faces, threshold: float) -> Iterator[tuple[int, int]]:
    """Yield the pairs of faces that show the same photograph.

    Args:
        images: (N, H, W) uint8, all different.
        threshold: as `audit`.
    """
    small = shrink(images)
    for others in (images, images[:, :, ::-1]):
        other_small = shrink(others)
        for start in range(0, len(small), ROWS_AT_ONCE):
            likeness = small[start : start + ROWS_AT_ONCE] @ other_small[start:].T
            rows, columns = np.nonzero(likeness > CANDIDATE)
            for row, column in zip((rows + start).tolist(), (columns + start).tolist(), strict=True):
                if column > row and correlation(images[row], others[column]) >= threshold:
                    yield row, column


def shrink(images: Faces) -> NDArray[np.float32]:
    """Return (N, 144) float32: tiny pictures without their mean, of length 1; zero for a picture of one tone."""
    side = (SMALL_SIDE, SMALL_SIDE)
    small = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images]).astype(np.float32)
    small = small.reshape(len(images), -1)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(small / np.where(length > 1, length, np.inf), np.float32)


def correlation(one: Faces, other: Faces) -> float:
    """Return the highest correlation of the middle of the one with any place of the other, -1 to 1."""
    down, across = (round(size * MAX_SHIFT) for size in one.shape)
    middle = one[down : one.shape[0] - down, across : one.shape[1] - across]
    if middle.min() == middle.max():
        return 0.0
    return float(cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).max())


# ------------------------------------------------------------------ telling


def groups_of(numbers: Numbers) -> list[list[int]]:
    """Return the members of every group of two or more, the largest group first."""
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    groups = [members.tolist() for members in np.split(order, cuts) if len(members) > 1]
    return sorted(groups, key=lambda members: (-len(members), members))


def count_groups(numbers: Numbers, faces: AllFaces) -> dict[str, Any]:
    """Count groups, and for every pair of splits the faces of the one that have a twin in the other."""
    groups = groups_of(numbers)
    table = {name: dict.fromkeys(faces.splits, 0) for name in faces.splits}
    for members in groups:
        counts = np.bincount(faces.split[members], minlength=len(faces.splits))
        for here, name in enumerate(faces.splits):
            for there, other in enumerate(faces.splits):
                needed = 2 if here == there else 1
                table[name][other] += int(counts[here]) if counts[there] >= needed else 0
    return {
        "groups": len(groups),
        "faces": sum(map(len, groups)),
        "largest": len(groups[0]) if groups else 0,
        "with_twin_in": table,
    }


def label_agreement(numbers: Numbers, faces: AllFaces, split: str) -> dict[str, int]:
    """Compare the labels of a split's faces with those that their twins in the training split have most often.

    Returns:
        ``with_twin``: faces with a twin in the training split; ``same``: those of its label.
    """
    train, own = faces.splits.index("train"), faces.splits.index(split)
    with_near_duplicate = same = 0
    for members in groups_of(numbers):
        place = np.array(members)
        taught = faces.labels[place[faces.split[place] == train]]
        asked = faces.labels[place[faces.split[place] == own]]
        if len(taught) and len(asked):
            with_near_duplicate += len(asked)
            same += int((asked == np.bincount(taught).argmax()).sum())
    return {"with_twin": with_near_duplicate, "same": same}


# ------------------------------------------------------------------ what they explain


def explain(near_duplicates: dict[str, bool], model: str, data: Path, split: str) -> dict[str, Any]:
    """Measure a model on a split's faces with and without a twin in the training split.

    The model is checked, measured and recorded as `evaluate` does it: readers of a run see which splits were opened.

    Returns:
        ``n`` and ``accuracy`` of "all", "with_twin" and "without_twin"; what `evaluate` warns of, where it does.
    Raises:
        DataSetError: the split is missing, or its pictures, labels or face size are others.
        ModelError: there is no such model.
    """
    from fer_lmdb.data.variants import DataSetVariants
    from fer_lmdb.evaluation import evaluate as stage  # imports torch, which an audit without a model does not need
    from fer_lmdb.models.ensemble import average_probabilities, load_ensemble

    variants, options = DataSetVariants.open([data]), stage.EvalOptions()
    names = [key_name(key) for key in variants.read(split).keys]
    if set(names) != set(near_duplicates):
        raise DataSetError(f"{data} holds other pictures than the audited data set; build both from the same source")
    members = load_ensemble([model])
    stage.check_labels([model], members, variants.reference)
    probabilities = average_probabilities(options.probabilities(members, variants, split))
    figures, right = stage.compute_result([model], members, probabilities, variants, split, options, None)
    stage.log_evaluation({**figures, "by": "duplicates audit"})
    near_duplicate = np.array([near_duplicates[name] for name in names])
    masks = {"all": near_duplicate | ~near_duplicate, "with_twin": near_duplicate, "without_twin": ~near_duplicate}
    warnings = {key: figures[key] for key in stage.CAVEAT_KEYS if key in figures}
    return {
        "model": model,
        "split": split,
        **{name: accuracy_of(right[mask]) for name, mask in masks.items()},
        **warnings,
    }


def names_with_near_duplicate(near: Numbers, faces: AllFaces, split: str) -> dict[str, bool]:
    """Return for the name of every face of a split whether the training split has a twin of it."""
    if split not in faces.splits:
        raise DataSetError(f"there is no {split} split; there are {', '.join(faces.splits)}")
    taught = np.unique(near[faces.split == faces.splits.index("train")])
    own = np.flatnonzero(faces.split == faces.splits.index(split))
    return {
        key_name(faces.keys[face]): bool(near_duplicate)
        for face, near_duplicate in zip(own, np.isin(near[own], taught), strict=True)
    }


def accuracy_of(right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return n and accuracy."""
    return {"n": len(right), "accuracy": float(right.mean()) if len(right) else None}
