"""Groups of identical and near-duplicate faces.

Two faces are near-duplicates if the center of one matches a region of the other, or of its mirror image, shifted by a
few pixels, with a correlation of at least `THRESHOLD`. By visual inspection, all pairs of FER2013 above 0.92 show the
same photo, and hardly any pair between 0.80 and 0.85 does. Candidates are found by comparing thumbnails of all faces,
12 x 12 pixels each.

Aligned faces are too similar for this method: only a fifth of the pairs between 0.92 and 0.94 show the same photo. Use
a data set built with ``--detector none``.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

THRESHOLD = 0.92
MIN_THUMBNAIL_CORRELATION = 0.9
THUMBNAIL_SIDE = 12
MAX_SHIFT = 1 / 12
"""Maximum shift as a fraction of the face's side."""
BLOCK_ROWS = 512

Faces = NDArray[np.uint8]
GroupIds = NDArray[np.int64]


def group_faces(images: Faces, threshold: float = THRESHOLD) -> tuple[GroupIds, GroupIds]:
    """Assign identical and near-duplicate faces to groups.

    Args:
        images: (N, H, W) uint8.
        threshold: Minimum correlation of near-duplicates, -1 to 1.

    Returns:
        (N,) group IDs of identical faces and (N,) group IDs of near-duplicates. The relation is transitive: near-
        duplicates of a near-duplicate belong to the same group.
    """
    flat = np.ascontiguousarray(images.reshape(len(images), -1))
    rows = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    _, first, identical = np.unique(rows, return_index=True, return_inverse=True)
    pairs = list(near_pairs(images[first], threshold))
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (one, other)), shape=(len(first), len(first)))
    _, component = connected_components(links, directed=False)
    return identical.ravel().astype(np.int64), component[identical.ravel()].astype(np.int64)


def near_pairs(images: Faces, threshold: float = THRESHOLD) -> Iterator[tuple[int, int]]:
    """Yield the positions of all pairs of near-duplicates.

    Args:
        images: (N, H, W) uint8, all different.
        threshold: Minimum correlation of near-duplicates, -1 to 1.
    """
    thumbnails = make_thumbnails(images)
    for others in (images, images[:, :, ::-1]):
        other_thumbnails = make_thumbnails(others)
        for start in range(0, len(thumbnails), BLOCK_ROWS):
            similarity = thumbnails[start : start + BLOCK_ROWS] @ other_thumbnails[start:].T
            rows, columns = np.nonzero(similarity > MIN_THUMBNAIL_CORRELATION)
            for row, column in zip((rows + start).tolist(), (columns + start).tolist(), strict=True):
                if column > row and correlation(images[row], others[column]) >= threshold:
                    yield row, column


def make_thumbnails(images: Faces) -> NDArray[np.float32]:
    """Return (N, 144) float32 thumbnails with zero mean and unit norm; zero for a uniform image."""
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA) for image in images]).astype(np.float32)
    small = small.reshape(len(images), -1)
    small -= small.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(small, axis=1, keepdims=True)
    return np.asarray(small / np.where(norm > 1, norm, np.inf), np.float32)


def correlation(one: Faces, other: Faces) -> float:
    """Return the maximum correlation between the center of one face and all regions of another, -1 to 1."""
    down, across = (round(size * MAX_SHIFT) for size in one.shape)
    center = one[down : one.shape[0] - down, across : one.shape[1] - across]
    if center.min() == center.max():
        return 0.0
    return float(cv2.matchTemplate(other, center, cv2.TM_CCOEFF_NORMED).max())


def list_groups(group_ids: GroupIds) -> list[list[int]]:
    """Return the members of each group with at least two members, the largest group first."""
    order = np.argsort(group_ids, kind="stable")
    cuts = np.flatnonzero(np.diff(group_ids[order])) + 1
    groups = [members.tolist() for members in np.split(order, cuts) if len(members) > 1]
    return sorted(groups, key=lambda members: (-len(members), members))
