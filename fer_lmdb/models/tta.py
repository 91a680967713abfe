"""Test-time augmentation: the views of a face whose probabilities are averaged.

1   the center crop
2   the center crop zoomed in, and its mirror image zoomed out
4   these, and the center crop rotated to one side, and its mirror image rotated to the other
10  the four corners and the center, each with its mirror image (Krizhevsky et al., 2012)

Zoom and rotation of 2 and 4 views are a fraction of the training augmentation, since a net predicts badly on views
outside it. A net trained without zoom and rotation gets the center crop and its mirror image, for 2 as for 4 views. Two
or four views that differ in several ways improve accuracy more than ten crops: docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

import prototxt_like as pl

ZOOM_IN, ZOOM_OUT = 0.8, 0.7  # fractions of the zoom in training
ROTATE = 2 / 3  # fraction of the rotation in training


@dataclass(frozen=True)
class TtaRange:
    """Zoom factors and rotation of the views.

    Attributes:
        zoom_in: Scale factor of the enlarged view, 1 or more.
        zoom_out: Scale factor of the reduced view, 1 or less.
        degrees: Rotation angle, 0 or more.
    """

    zoom_in: float = 1.0
    zoom_out: float = 1.0
    degrees: float = 0.0

    @classmethod
    def of(cls, augmentation: pl.TransformationParameter) -> TtaRange:
        """Return the range for a net trained with an augmentation."""
        zoom = augmentation.zoom
        return cls(1 + ZOOM_IN * zoom, 1 - ZOOM_OUT * zoom, ROTATE * augmentation.rotation)

    def affine_params(self, count: int) -> list[tuple[float, float, bool]]:
        """Return (scale factor, angle, mirrored) of 2 or 4 views, without duplicates."""
        params = [
            (self.zoom_in, 0.0, False),
            (self.zoom_out, 0.0, True),
            (1.0, -self.degrees, False),
            (1.0, self.degrees, True),
        ]
        return list(dict.fromkeys(params[:count]))


def make_views(faces: Tensor, transform: pl.Transform, count: int, tta_range: TtaRange) -> list[Tensor]:
    """Return the transformed views of a batch of faces.

    Args:
        faces: (N, C, H, W) uint8, 0-255.
        transform: Transform of the TEST phase.
        count: Number of views, one of `fer_lmdb.choices.TTA_VIEWS`.
        tta_range: Zoom and rotation of 2 and 4 views.

    Returns:
        Batches of (N, C, crop, crop) float32, one per view.
    """
    if count == 1:
        return [transform(faces)]
    if count == 10:
        crops = [transform.crop_at(faces, top, left) for top, left in _five_crop(faces, transform)]
        return crops + [crop.flip(-1) for crop in crops]
    return [_warp(faces, transform, *params) for params in tta_range.affine_params(count)]


def _warp(faces: Tensor, transform: pl.Transform, zoom: float, degrees: float, mirrored: bool) -> Tensor:
    warped = transform(faces) if (zoom, degrees) == (1, 0) else transform.affine(faces, zoom=zoom, degrees=degrees)
    return warped.flip(-1) if mirrored else warped


def _five_crop(faces: Tensor, transform: pl.Transform) -> list[tuple[int, int]]:
    height, width = faces.shape[-2:]
    bottom, right = height - (transform.crop[0] or height), width - (transform.crop[1] or width)
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
