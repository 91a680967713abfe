"""Faces in images that lie on their side or upside down and have no EXIF orientation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.faces import Face

Image = NDArray[np.uint8]
Detect = Callable[[Sequence[Image]], list[list[Face]]]

SURE = 0.98
"""Score of a face above which the other orientations of its image are not tried."""


def detect_rotated(images: Sequence[Image], detect: Detect) -> list[list[Face]]:
    """Detect faces in the orientation in which the best face has the highest score.

    Args:
        images: (H, W, 3) uint8 RGB.
        detect: Returns the faces of each image, highest score first.

    Returns:
        The faces of each image in its own pixels, highest score first. Landmarks keep their names, so that alignment
        undoes the rotation.
    """
    found = detect(images)
    unsure = [at for at, faces in enumerate(found) if _best(faces) < SURE]
    for turns in (1, 2, 3) if unsure else ():
        rotated = detect([np.ascontiguousarray(np.rot90(images[at], turns)) for at in unsure])
        for at, faces in zip(unsure, rotated, strict=True):
            if _best(faces) > _best(found[at]):
                found[at] = [rotate_back(face, turns, images[at].shape[1], images[at].shape[0]) for face in faces]
    return found


def rotate_back(face: Face, turns: int, width: int, height: int) -> Face:
    """Map a face of a rotated image to the original.

    Args:
        face: Face in `np.rot90(image, turns)`.
        turns: Number of quarter turns counterclockwise.
        width: Width of the original image in pixels.
        height: Height of the original image in pixels.
    """
    corners = np.array([face.box[:2], face.box[:2] + face.box[2:]])
    corners = _points_back(corners - 0.5, turns, width, height) + 0.5  # edges of pixels, as crops take them
    box = np.concatenate([corners.min(axis=0), np.abs(corners[1] - corners[0])]).astype(np.float32)
    landmarks = None if face.landmarks is None else _points_back(face.landmarks, turns, width, height)
    return Face(box, face.score, landmarks)


def _points_back(points: NDArray[np.floating], turns: int, width: int, height: int) -> NDArray[np.float32]:
    """(K, 2) x, y of the rotated image -> x, y of the original."""
    x, y = points[:, 0], points[:, 1]
    pairs = [(x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x)]
    return np.stack(pairs[turns], axis=1).astype(np.float32)


def _best(faces: Sequence[Face]) -> float:
    return faces[0].score if faces else -np.inf
