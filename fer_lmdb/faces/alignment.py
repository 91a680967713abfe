"""Alignment: turn, scale and move a face so that its eyes, nose and mouth lie where those of every face lie."""

from __future__ import annotations

import math
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Image

Points = NDArray[np.float64]
AffineMatrix = NDArray[np.float64]
Fill = Literal["edge", "black"]
Template = Literal["fer2013", "arcface"]

TEMPLATES: dict[Template, tuple[int, Points]] = {
    "fer2013": (48, np.array([[14.31, 17.9], [32.69, 17.9], [23.5, 28.39], [15.84, 37.33], [31.16, 37.33]])),
    "arcface": (
        112,
        np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]),
    ),
}
"""Side of a square in pixels, and (5, 2) x, y on it: left eye, right eye, nose, left and right mouth corner.

`fer2013` is where MTCNN finds them in FER2013's training faces (median of 25,934, made the same on both sides): an
aligned face keeps the framing of those that could not be aligned. `arcface` is the widely used template of 96 x 112
pixels with 8 pixels added on the left and on the right; its faces lie a tenth of a side lower.
"""
MAX_SOURCE_SIDE = 8192
MAX_SAMPLES = 32


def align(
    image: Image,
    landmarks: NDArray[np.floating],
    size: int = 48,
    *,
    margin: float = 0.001,
    fill: Fill = "edge",
    to: Template = "arcface",
) -> tuple[Image, AffineMatrix]:
    """Cut an aligned face out of a picture.

    Args:
        image: uint8 RGB (H, W, 3) or grey (H, W).
        landmarks: (5, 2) or (68, 2) x, y in pixels.
        size: side of the result in pixels.
        margin: what is added around the template on every side, as a part of its side; negative cuts closer.
        fill: what stands where the result reaches out of the picture: its "edge" repeated, or "black".
        to: where eyes, nose and mouth shall lie, as FER2013 frames them or as face recognition does.

    Returns:
        uint8 (size, size, 3) or (size, size), as the picture, and the (2, 3) transform from pixels of the picture to
        pixels of the result.

    Raises:
        DetectorError: the landmarks are neither 5 nor 68 points, or lie on one spot.
    """
    points = five_points(np.asarray(landmarks, np.float64))
    transform = similarity(points, template(size, margin, to))
    if not np.isfinite(transform).all() or not transform[:, :2].any():
        raise DetectorError("the landmarks of this face lie on one spot; it cannot be aligned")
    return warp(image, transform, size, fill), transform


def template(size: int, margin: float, to: Template = "arcface") -> Points:
    """The five points on a square of `size` pixels with the margin around; (5, 2) x, y."""
    side, points = TEMPLATES[to]
    return (points + side * margin) * (size / (side * (1 + 2 * margin)))


def five_points(landmarks: Points) -> Points:
    """Bring landmarks to five: the centres of the eyes, the tip of the nose, the corners of the mouth.

    Args:
        landmarks: (5, 2), given back as they are, or (68, 2) in the iBUG order.

    Raises:
        DetectorError: another number of points.
    """
    if landmarks.shape == (5, 2):
        return landmarks
    if landmarks.shape == (68, 2):
        return np.stack(
            [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0), landmarks[30], landmarks[48], landmarks[54]]
        )
    raise DetectorError(f"landmarks have the shape {landmarks.shape}; alignment takes (5, 2) or (68, 2)")


def similarity(source: Points, target: Points) -> AffineMatrix:
    """The rotation, scale and shift that bring points nearest to others (least squares, no reflection).

    The same as scikit-image's `SimilarityTransform`, of which this is the closed form in the plane: with points as
    complex numbers the transform is `a * z + b`, and `a` is a quotient of two sums.

    Args:
        source: (K, 2) x, y.
        target: (K, 2) x, y.

    Returns:
        (2, 3) float64 matrix; not finite where the source is a single spot.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    centred = z - z.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def box_transform(box: NDArray[np.floating], size: int, margin: float) -> AffineMatrix:
    """The scale and shift that bring a box, made square and widened by the margin, onto the whole result.

    Args:
        box: (4,) x, y, width, height in pixels.
        size: side of the result.
        margin: what is added on every side, as a part of the box's longer side.
    """
    x, y, width, height = (float(value) for value in box)
    side = max(width, height, 1.0)
    scale = size / (side * (1 + 2 * margin))
    middle = np.array([x + width / 2, y + height / 2])
    return np.column_stack([np.eye(2) * scale, size / 2 - 0.5 - scale * (middle - 0.5)])


def warp(image: Image, transform: AffineMatrix, size: int, fill: Fill = "edge") -> Image:
    """Apply a transform to a picture; where it shrinks, every result pixel is the mean of many samples.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        transform: (2, 3) from pixels of the picture to pixels of the result.
        size: side of the result.
        fill: "edge" or "black", what stands outside the picture.
    """
    if fill not in get_args(Fill):
        raise DetectorError(f'fill is "{fill}"; expected one of {", ".join(get_args(Fill))}')
    part, transform = _crop_to_source(image, transform, size)
    scale = math.hypot(transform[0, 0], transform[1, 0])
    samples = min(math.ceil(0.75 / scale), MAX_SAMPLES)
    finer = transform * samples
    finer[:, 2] += (samples - 1) / 2
    border = cv2.BORDER_REPLICATE if fill == "edge" else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(part, finer, (size * samples, size * samples), flags=cv2.INTER_LINEAR, borderMode=border)
    if samples > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def to_original(transform: AffineMatrix, points: Points) -> Points:
    """Map (K, 2) points of an aligned face back to pixels of its picture."""
    return (points - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T


def _crop_to_source(image: Image, transform: AffineMatrix, size: int) -> tuple[Image, AffineMatrix]:
    """The part of the picture that the result shows, thinned out where it is huge, and the transform from there.

    OpenCV warps nothing larger than 32,767 pixels, and small sources are quicker.
    """
    corners = np.array([[-1.0, -1.0], [size, -1.0], [-1.0, size], [size, size]])
    source = to_original(transform, corners)
    limit = np.array([image.shape[1], image.shape[0]])
    first = np.clip(np.floor(source.min(axis=0)) - 2, 0, limit - 1).astype(int)
    last = np.clip(np.ceil(source.max(axis=0)) + 3, first + 1, limit).astype(int)
    step = math.ceil((last - first).max() / MAX_SOURCE_SIDE)
    part = np.ascontiguousarray(image[first[1] : last[1] : step, first[0] : last[0] : step])
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ first
    moved[:, :2] *= step
    return part, moved
