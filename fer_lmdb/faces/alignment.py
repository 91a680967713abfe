"""Alignment: map the eyes, nose and mouth of a face to a template by rotation, scale and translation."""

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

`fer2013` has the positions that MTCNN detects in FER2013's training faces (median of 25,934, made symmetric), so that
aligned faces are framed like unaligned ones. `arcface` is the widely used template of 96 x 112 pixels with 8 pixels
added on the left and on the right; its faces lie a tenth of a side lower.
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
    """Crop an aligned face from an image.

    Args:
        image: RGB (H, W, 3) or gray (H, W), uint8.
        landmarks: (5, 2) or (68, 2) x, y in pixels.
        size: Side of the result in pixels.
        margin: Context added around the template on every side, as a fraction of its side; negative crops closer.
        fill: Value of pixels outside the image: the "edge" repeated, or "black".
        to: Name of the template.

    Returns:
        Crop of (size, size, 3) or (size, size) uint8, and the (2, 3) transform from pixels of the image to pixels of
        the crop.

    Raises:
        DetectorError: If the landmarks are neither 5 nor 68 points, or all coincide.
    """
    points = five_points(np.asarray(landmarks, np.float64))
    transform = similarity(points, template(size, margin, to))
    if not np.isfinite(transform).all() or not transform[:, :2].any():
        raise DetectorError("the landmarks of this face coincide; it cannot be aligned")
    return warp(image, transform, size, fill), transform


def template(size: int, margin: float, to: Template = "arcface") -> Points:
    """Return the (5, 2) x, y of the template on a square of `size` pixels that includes the margin."""
    side, points = TEMPLATES[to]
    return (points + side * margin) * (size / (side * (1 + 2 * margin)))


def five_points(landmarks: Points) -> Points:
    """Return five landmarks: the centers of the eyes, the tip of the nose, the corners of the mouth.

    Args:
        landmarks: (5, 2), returned unchanged, or (68, 2) in the iBUG order.

    Raises:
        DetectorError: If there is another number of points.
    """
    if landmarks.shape == (5, 2):
        return landmarks
    if landmarks.shape == (68, 2):
        return np.stack(
            [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0), landmarks[30], landmarks[48], landmarks[54]]
        )
    raise DetectorError(f"landmarks have an unsupported shape: found {landmarks.shape}, expected (5, 2) or (68, 2)")


def similarity(source: Points, target: Points) -> AffineMatrix:
    """Return the least-squares rotation, scale and translation between two point sets, without reflection.

    Equal to scikit-image's `SimilarityTransform`. This is its closed form in the plane: with points as complex numbers
    the transform is `a * z + b`, and `a` is a quotient of two sums.

    Args:
        source: (K, 2) x, y.
        target: (K, 2) x, y.

    Returns:
        (2, 3) float64 matrix; not finite if the source points coincide.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    centered = z - z.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.vdot(centered, w - w.mean()) / np.vdot(centered, centered).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def box_transform(box: NDArray[np.floating], size: int, margin: float) -> AffineMatrix:
    """Return the scale and translation that map a box, extended to a square plus margin, to the entire result.

    Args:
        box: (4,) x, y, width, height in pixels.
        size: Side of the result in pixels.
        margin: Context added on every side, as a fraction of the longer side of the box.
    """
    x, y, width, height = (float(value) for value in box)
    side = max(width, height, 1.0)
    scale = size / (side * (1 + 2 * margin))
    center = np.array([x + width / 2, y + height / 2])
    return np.column_stack([np.eye(2) * scale, size / 2 - 0.5 - scale * (center - 0.5)])


def quarter_turns(landmarks: NDArray[np.floating]) -> int:
    """Return the quarter turns counterclockwise, 0 to 3, after which the eyes of a face are above its mouth.

    Args:
        landmarks: (5, 2) or (68, 2) x, y in pixels.

    Raises:
        DetectorError: If the landmarks are neither 5 nor 68 points.
    """
    points = five_points(np.asarray(landmarks, np.float64))
    x, y = points[3:].sum(axis=0) - points[:2].sum(axis=0)
    return -round(math.atan2(x, y) / (math.pi / 2)) % 4


def warp(image: Image, transform: AffineMatrix, size: int, fill: Fill = "edge") -> Image:
    """Apply a transform to an image; when it shrinks, each pixel of the result is the mean of many samples.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        transform: (2, 3) from pixels of the image to pixels of the result.
        size: Side of the result in pixels.
        fill: Value of pixels outside the image, "edge" or "black".

    Raises:
        DetectorError: If `fill` is invalid.
    """
    if fill not in get_args(Fill):
        raise DetectorError(f'invalid fill: found "{fill}", expected one of {", ".join(get_args(Fill))}')
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
    """Map (K, 2) points of a crop back to pixels of its image."""
    return (points - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T


def _crop_to_source(image: Image, transform: AffineMatrix, size: int) -> tuple[Image, AffineMatrix]:
    """Return the region of the image that the result shows, subsampled if it is huge, and the transform from there.

    OpenCV warps at most 32,767 pixels a side, and small sources are faster.
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
