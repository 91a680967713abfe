"""The views of a face whose probabilities are averaged.

1   the middle
2   the middle a little nearer, and its mirror image a little farther away
4   these, and the middle turned to one side, and its mirror image turned to the other
10  the four corners and the middle, each with its mirror image (Krizhevsky and others, 2012)

Views help as far as the training knows them, so 2 and 4 zoom and turn a part of the way that the training did. A net
that was trained without either gets the middle and its mirror image, for 2 as for 4. Two or four views that
differ in more than one way are worth more than ten crops: docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

import prototxt_like as pl

COUNTS = (1, 2, 4, 10)
ZOOM_IN, ZOOM_OUT = 0.8, 0.7  # of the training's zoom
ROTATE = 2 / 3  # of the training's rotation


@dataclass(frozen=True)
class TtaRange:
    """How far views differ: factors of size, and an angle in degrees."""

    nearer: float = 1.0
    farther: float = 1.0
    degrees: float = 0.0

    @classmethod
    def of(cls, augmentation: pl.TransformationParameter) -> TtaRange:
        """Return the reach for a net that was trained with this augmentation."""
        zoom = augmentation.zoom
        return cls(1 + ZOOM_IN * zoom, 1 - ZOOM_OUT * zoom, ROTATE * augmentation.rotation)

    def affine_params(self, count: int) -> list[tuple[float, float, bool]]:
        """Return factor, angle and whether it is mirrored for 2 or 4 views; equal ones once."""
        found = [
            (self.nearer, 0.0, False),
            (self.farther, 0.0, True),
            (1.0, -self.degrees, False),
            (1.0, self.degrees, True),
        ]
        return list(dict.fromkeys(found[:count]))


def make_views(faces: Tensor, transform: pl.Transform, count: int, tta_range: TtaRange) -> list[Tensor]:
    """Cut and normalise faces, once for each view.

    Args:
        faces: (N, 1, H, W) uint8, grey.
        transform: the model's, of the TEST phase.
        count: one of ``COUNTS``.
        tta_range: how far the views of 2 and 4 differ.

    Returns:
        Batches of (N, C, crop, crop) float32.
    """
    if count == 1:
        return [transform(faces)]
    if count == 10:
        crops = [transform.crop_at(faces, top, left) for top, left in _five_crop(faces, transform)]
        return crops + [crop.flip(-1) for crop in crops]
    return [_warp(faces, transform, *move) for move in tta_range.affine_params(count)]


def _warp(faces: Tensor, transform: pl.Transform, zoom: float, degrees: float, mirrored: bool) -> Tensor:
    warped = transform(faces) if (zoom, degrees) == (1, 0) else transform.affine(faces, zoom=zoom, degrees=degrees)
    return warped.flip(-1) if mirrored else warped


def _five_crop(faces: Tensor, transform: pl.Transform) -> list[tuple[int, int]]:
    height, width = faces.shape[-2:]
    bottom, right = height - (transform.crop[0] or height), width - (transform.crop[1] or width)
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
