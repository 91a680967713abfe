"""A contact sheet: pictures with box and landmarks beside the faces cut out of them, and the ones without a face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.faces.alignment import AffineMatrix, box_transform, to_original, warp
from fer_lmdb.faces.detectors.base import Face, Image, as_rgb
from fer_lmdb.faces.preprocessing import PreparedFace
from fer_lmdb.visualization.canvas import Canvas, Rect
from fer_lmdb.visualization.colors import color_of

TILE = 112
GAP = 8
TITLE = 26
BACKGROUND = (250, 250, 250)
INK = (30, 30, 30)
LANDMARK_COLOR = (255, 255, 255)
NO_FACE = "no face found"
CONTEXT_FRACTION = 0.3
"""How much of its surroundings a picture shows around a face, as a part of the face's box."""

Originals = Callable[[str], "Image | None"]
"""Gives the picture that a record was cut out of, by the record's key; None where it is not at hand."""


@dataclass(frozen=True, eq=False)
class Example:
    """One picture and the face that was made of it.

    Attributes:
        image: uint8 RGB or grey, what the detector saw.
        face: where it found a face, in pixels of `image`; None: nowhere.
        crop: uint8 grey (size, size), what the net sees.
    """

    image: Image
    face: Face | None
    crop: Image

    @classmethod
    def from_prepared(cls, image: Image, prepared: PreparedFace) -> Example:
        """An example from a picture and what `preprocess_faces` made of it."""
        return cls(image, prepared.face, prepared.crop)


def contact_sheet(rows: Sequence[tuple[str, Sequence[Example]]]) -> Image:
    """Draw examples, a titled row for each group: every picture, and on its right the face cut out of it.

    Args:
        rows: title and examples of each group; a row without examples says so.

    Returns:
        uint8 RGB (H, W, 3).
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


def data_set_sheet(
    crops: NDArray[np.uint8],
    labels: NDArray[np.int64],
    detections: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    *,
    originals: Originals = lambda key: None,
    per_row: int = 6,
    seed: int = 0,
) -> Image:
    """Draw the contact sheet of a built data set: some faces of every class, then some where none was found.

    A data set does not keep the pictures that it was made of. Where `originals` has none, the picture is put together
    again from the aligned face, as far as that shows it.

    Args:
        crops: (N, H, W) or (N, 1, H, W) uint8, the faces.
        labels: (N,) their classes.
        detections: N records of the data set's `detections.jsonl`, in the same order.
        classes: names of the classes.
        originals: gives the picture of a record.
        per_row: examples in a row.
        seed: which examples are drawn.
    """
    crops = crops.reshape(len(crops), *crops.shape[-2:])
    chosen = sample_examples(labels, detections, classes, per_row=per_row, seed=seed)
    return contact_sheet(
        [
            (title, [example_of(crops[index], detections[index], originals) for index in indices])
            for title, indices in chosen
        ]
    )


def sample_examples(
    labels: NDArray[np.int64],
    detections: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    *,
    per_row: int = 6,
    seed: int = 0,
) -> list[tuple[str, list[int]]]:
    """Choose what a contact sheet shows: faces of every class, then twice as many pictures without a face.

    Args:
        labels: (N,) classes.
        detections: N records in the same order.
        classes: names of the classes.
        per_row: faces of a class.
        seed: which ones.

    Returns:
        title and positions of every group.
    """
    found = np.array([record.get("box") is not None for record in detections], bool)
    generator = np.random.default_rng(seed)

    def some(where: NDArray[np.bool_], count: int) -> list[int]:
        return [int(index) for index in generator.permutation(np.flatnonzero(where))[:count]]

    rows = [(name, some(found & (labels == label), per_row)) for label, name in enumerate(classes)]
    return [*rows, (NO_FACE, some(~found, 2 * per_row))]


def reconstruct_image(crop: Image, transform: AffineMatrix) -> tuple[Image, AffineMatrix]:
    """Put a picture together from an aligned face: the part of it that the face shows, upright and in its scale.

    Returns:
        uint8 grey, and the (2, 3) shift from pixels of the picture to pixels of this part of it.
    """
    size = len(crop)
    corners = to_original(transform, np.array([[0.0, 0], [size, 0], [0, size], [size, size]]))
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    side = max(1, int(np.ceil(np.sqrt(2) * size / scale)))
    zoom = min(1.0, 4 * TILE / side)  # a face of thousands of pixels is only ever drawn small
    first = corners.mean(axis=0) - side / 2
    shift = np.column_stack([np.eye(2) * zoom, -first * zoom])
    forward = np.vstack([transform, [0, 0, 1]]) @ np.linalg.inv(np.vstack([shift, [0, 0, 1]]))
    length = max(1, round(side * zoom))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(crop, forward[:2], (length, length), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(part, np.uint8), shift


def example_of(crop: Image, record: Mapping[str, Any], originals: Originals) -> Example:
    """Make an example of a face of a data set.

    Args:
        crop: uint8 grey (size, size).
        record: its line of `detections.jsonl`.
        originals: gives its picture, or None: then the picture is put together from the face.
    """
    face = _face(record)
    image = originals(str(record["key"]))
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
    """The face in another scale and place; `shift` does not turn."""
    zoom, move = float(shift[0, 0]), shift[:, 2]
    box = np.concatenate([face.box[:2] * zoom + move, face.box[2:] * zoom]).astype(np.float32)
    landmarks = None if face.landmarks is None else (face.landmarks * zoom + move).astype(np.float32)
    return Face(box, face.score, landmarks)


def _step(examples: Sequence[Example]) -> int:
    """Pixels from one example of a row to the next: two tiles each, one where no example has a face."""
    return (2 * TILE if any(example.face is not None for example in examples) else TILE) + GAP


def draw_example(example: Example) -> Image:
    """Draw a picture with box and landmarks and on its right the face cut out of it; without a face the picture alone.

    Returns:
        uint8 RGB (TILE, 2 * TILE, 3) or (TILE, TILE, 3).
    """
    if example.face is None:
        return _resize_to_tile(example.image)
    return np.hstack([_draw_detection(example.image, example.face), _resize_to_tile(example.crop)])


def _draw_detection(image: Image, face: Face) -> Image:
    """The surroundings of a face, TILE x TILE, with its box and landmarks; a small picture is shown whole."""
    limit = np.array([image.shape[1], image.shape[0]])
    side = max(float(face.box[2:].max()), 1.0) * (1 + 2 * CONTEXT_FRACTION)
    if limit.min() <= side:
        side = float(limit.max())
    first = np.minimum(np.maximum(face.box[:2] + face.box[2:] / 2 - side / 2, 0), np.maximum(limit - side, 0))
    shift = box_transform(np.array([*first, side, side]), TILE, 0)
    canvas = Canvas(warp(as_rgb(image), shift, TILE, "black"))
    moved_face = _transform_face(face, shift)
    canvas.outline(Rect(*(float(value) for value in moved_face.box)), color_of("happy"), 1)
    for x, y in moved_face.landmarks if moved_face.landmarks is not None else ():
        canvas.dot(float(x), float(y), 1.6, LANDMARK_COLOR)
    return canvas.finish()


def _resize_to_tile(image: Image) -> Image:
    """The whole picture, TILE pixels wide or high, in the middle of a tile."""
    zoom = TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(as_rgb(image)), size, interpolation=interpolation)
    tile = np.full((TILE, TILE, 3), BACKGROUND, np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = scaled
    return tile
