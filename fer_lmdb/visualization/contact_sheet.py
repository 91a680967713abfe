"""Contact sheets: images with box and landmarks beside the aligned faces, and images without a detection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.faces.alignment import AffineMatrix, box_transform, to_original, warp
from fer_lmdb.faces.detectors.base import Face, Image, as_rgb
from fer_lmdb.visualization.canvas import Canvas, Rect
from fer_lmdb.visualization.colors import color_of
from fer_lmdb.visualization.detection import draw_detection

TILE = 112
GAP = 8
TITLE = 26
BACKGROUND = (250, 250, 250)
INK = (30, 30, 30)
NO_FACE = "no face found"
CONTEXT_FRACTION = 0.3
"""Context shown on each side of a face, as a fraction of its box."""

SourceImages = Callable[[str], "Image | None"]
"""Returns the source image of a record by its key; None if it is not available."""


@dataclass(frozen=True, eq=False)
class Example:
    """One image and its preprocessed face.

    Attributes:
        image: uint8 RGB or gray input of the detector.
        face: Detected face in pixels of `image`; None if no face was detected.
        crop: (size, size) uint8 gray face after preprocessing.
    """

    image: Image
    face: Face | None
    crop: Image


def contact_sheet(rows: Sequence[tuple[str, Sequence[Example]]]) -> Image:
    """Draw one titled row per group: each image, and to its right the preprocessed face.

    Args:
        rows: Title and examples of each group; an empty group gets the note "none".

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width = GAP + max([2 * TILE + GAP, *(len(examples) * _step(examples) for _, examples in rows)])
    height = GAP + max(len(rows), 1) * (TITLE + TILE + GAP)
    sheet = Canvas(np.full((height, width, 3), BACKGROUND, np.uint8))
    for row, (title, examples) in enumerate(rows):
        top = GAP + row * (TITLE + TILE + GAP)
        sheet.fill(Rect(GAP, top + 4, 14, TITLE - 10), color_of(title))
        words = title if examples else f"{title}: none"
        sheet.text(GAP + 20, top + TITLE / 2 - 1, words, INK, 15, bold=True)
        step = _step(examples)
        for column, example in enumerate(examples):
            drawn, left = draw_example(example), GAP + column * step
            sheet.pixels[top + TITLE : top + TITLE + TILE, left : left + drawn.shape[1]] = drawn
    return sheet.finish()


def sample_examples(
    labels: NDArray[np.int64],
    detections: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    *,
    per_row: int = 6,
    seed: int = 0,
) -> list[tuple[str, list[int]]]:
    """Sample faces of each class, then twice as many images without a detection.

    Args:
        labels: (N,) class indices.
        detections: N records of detections.jsonl in the same order.
        classes: Class names in label order.
        per_row: Number of faces per class.
        seed: Random seed.

    Returns:
        Title and indices of each group.
    """
    detected = np.array([record.get("box") is not None for record in detections], bool)
    generator = np.random.default_rng(seed)

    def sample(mask: NDArray[np.bool_], count: int) -> list[int]:
        return [int(index) for index in generator.permutation(np.flatnonzero(mask))[:count]]

    rows = [(name, sample(detected & (labels == label), per_row)) for label, name in enumerate(classes)]
    return [*rows, (NO_FACE, sample(~detected, 2 * per_row))]


def reconstruct_image(crop: Image, transform: AffineMatrix) -> tuple[Image, AffineMatrix]:
    """Reconstruct the part of the source image that an aligned face shows, by the inverse of its alignment.

    Args:
        crop: (size, size) uint8 gray aligned face.
        transform: (2, 3) transform from source image to crop.

    Returns:
        (H, W) uint8 gray, and the (2, 3) transform from source image to this part of it.
    """
    size = len(crop)
    corners = to_original(transform, np.array([[0.0, 0], [size, 0], [0, size], [size, size]]))
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    side = max(1, int(np.ceil(np.sqrt(2) * size / scale)))
    zoom = min(1.0, 4 * TILE / side)  # tiles are small, even for a face of thousands of pixels
    first = corners.mean(axis=0) - side / 2
    shift = np.column_stack([np.eye(2) * zoom, -first * zoom])
    forward = np.vstack([transform, [0, 0, 1]]) @ np.linalg.inv(np.vstack([shift, [0, 0, 1]]))
    length = max(1, round(side * zoom))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(crop, forward[:2], (length, length), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(part, np.uint8), shift


def example_of(crop: Image, record: Mapping[str, Any], source_images: SourceImages) -> Example:
    """Return the example of a face of a data set.

    Args:
        crop: (size, size) uint8 gray face.
        record: Its record of detections.jsonl.
        source_images: Returns its source image; if None, the image is reconstructed from the face.
    """
    face = _face(record)
    image = source_images(str(record["key"]))
    if face is None:
        return Example(crop if image is None else image, None, crop)
    if image is None:
        image, shift = reconstruct_image(crop, np.array(record["transform"], np.float64))
        face = _transform_face(face, shift)
    return Example(image, face, crop)


def _face(record: Mapping[str, Any]) -> Face | None:
    if record.get("box") is None:
        return None
    landmarks = None if record.get("landmarks") is None else np.array(record["landmarks"], np.float32)
    return Face(np.array(record["box"], np.float32), float(record["score"]), landmarks)


def _transform_face(face: Face, shift: AffineMatrix) -> Face:
    """Scale and translate a face; `shift` must not rotate."""
    zoom, move = float(shift[0, 0]), shift[:, 2]
    box = np.concatenate([face.box[:2] * zoom + move, face.box[2:] * zoom]).astype(np.float32)
    landmarks = None if face.landmarks is None else (face.landmarks * zoom + move).astype(np.float32)
    return Face(box, face.score, landmarks)


def _step(examples: Sequence[Example]) -> int:
    """Return the horizontal distance of examples in pixels: two tiles, or one if no example has a face."""
    return (2 * TILE if any(example.face is not None for example in examples) else TILE) + GAP


def draw_example(example: Example) -> Image:
    """Draw an image with box and landmarks and the preprocessed face to its right, or only the image without a face.

    Returns:
        (TILE, 2 * TILE, 3) or (TILE, TILE, 3) uint8 RGB.
    """
    if example.face is None:
        return _resize_to_tile(example.image)
    return np.hstack([_draw_face(example.image, example.face), _resize_to_tile(example.crop)])


def _draw_face(image: Image, face: Face) -> Image:
    """Return a face with context, TILE x TILE, with box and landmarks; a small image is shown completely."""
    limit = np.array([image.shape[1], image.shape[0]])
    side = max(float(face.box[2:].max()), 1.0) * (1 + 2 * CONTEXT_FRACTION)
    if limit.min() <= side:
        side = float(limit.max())
    first = np.minimum(np.maximum(face.box[:2] + face.box[2:] / 2 - side / 2, 0), np.maximum(limit - side, 0))
    shift = box_transform(np.array([*first, side, side]), TILE, 0)
    canvas = Canvas(warp(as_rgb(image), shift, TILE, "black"))
    moved = _transform_face(face, shift)
    landmarks = () if moved.landmarks is None else moved.landmarks.tolist()
    draw_detection(canvas, Rect(*moved.box.tolist()), landmarks, thickness=1, radius=1.6)
    return canvas.finish()


def _resize_to_tile(image: Image) -> Image:
    """Return the image scaled to fit into a tile, centered."""
    zoom = TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(as_rgb(image)), size, interpolation=interpolation)
    tile = np.full((TILE, TILE, 3), BACKGROUND, np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = scaled
    return tile
