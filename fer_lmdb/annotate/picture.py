"""Lay one annotated picture out: boxes first, then names, then bars where there is room for them.

Bars that find no room without hiding a face go into a column on the right, numbered like their faces, so that
nothing is lost in crowds and close-ups. Small pictures are enlarged until letters can be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.annotate.panel import find_room, panel_of
from fer_lmdb.annotate.sheet import Box, Sheet, text_width
from fer_lmdb.palette import colour_of, ink_on
from fer_lmdb.predictions import FacePrediction

SMALLEST_SIDE = 400
LONGEST_ENLARGED = 4096
SMALLEST_LETTERS = 12
_COLUMN = (24, 24, 24)


def annotate(
    image: NDArray[np.uint8], faces: Sequence[FacePrediction], *, same_size: bool = False, note: str = ""
) -> NDArray[np.uint8]:
    """Draw faces and their expressions onto a copy of a picture.

    Args:
        image: (H, W, 3) uint8 RGB, 0-255.
        faces: what was predicted, in pixels of `image`.
        same_size: keep height and width, as the frames of a video must; bars without room are then left out.
        note: words for the upper left corner, for example the frame rate.

    Returns:
        (H', W', 3) uint8 RGB; larger than `image` where that is small or bars stand beside it.
    """
    zoom = 1 if same_size else enlargement(image.shape[1], image.shape[0])
    sheet = Sheet(_enlarged(image, zoom))
    boxes = [Box(*(value * zoom for value in face.box)) for face in faces]
    size = letter_size(boxes, image.shape[1] * zoom, image.shape[0] * zoom)
    if note:
        sheet.fill(Box(0, 0, text_width(note, size) + size, 1.6 * size), _COLUMN, 0.72)
        sheet.text(0.5 * size, 0.8 * size, note, (255, 255, 255), size)
    _draw_boxes(sheet, faces, boxes, zoom, size)
    places = _place_panels(sheet, faces, boxes, size)
    numbers = {} if same_size else {at: i for i, at in enumerate((at for at, p in enumerate(places) if p is None), 1)}
    _draw_names(sheet, faces, boxes, size, numbers if len(faces) > 1 else {})
    for face, place in zip(faces, places, strict=True):
        if place is not None:
            panel_of(face, size).draw(sheet, place.x, place.y)
    _draw_column(sheet, [(faces[at], number) for at, number in numbers.items()], size, len(faces) > 1)
    return sheet.finish()


def enlargement(width: int, height: int) -> int:
    """Return the factor by which a small picture is enlarged; a narrow strip only as far as it stays handy."""
    return max(1, min(-(-SMALLEST_SIDE // min(width, height)), LONGEST_ENLARGED // max(width, height)))


def letter_size(boxes: Sequence[Box], width: int, height: int) -> int:
    """Return the height of letters that suits the faces and can still be read when the picture fills a screen."""
    short = min(width, height)
    wish = 0.11 * float(np.median([box.width for box in boxes])) if boxes else short / 30
    return round(min(max(wish, SMALLEST_LETTERS, short / 55), max(SMALLEST_LETTERS, short / 22)))


def _enlarged(image: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    if zoom == 1:
        return np.array(image, order="C")
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw_boxes(sheet: Sheet, faces: Sequence[FacePrediction], boxes: Sequence[Box], zoom: int, size: int) -> None:
    for face, box in zip(faces, boxes, strict=True):
        sheet.outline(box, colour_of(face.expression), max(2, round(size / 7)))
    for face, box in zip(faces, boxes, strict=True):
        radius = max(1.2, min(size / 8, box.width / 25))
        for x, y in face.landmarks or ():
            sheet.dot(x * zoom, y * zoom, radius, (255, 255, 255))


def _name_of(face: FacePrediction, number: int | None) -> str:
    """What stands above a face: `2  happy 87%`; in a video the person's number stands in front."""
    mark = number if face.id is None else face.id
    return ("" if mark is None else f"{mark}  ") + f"{face.expression} {face.probability:.0%}"


def _label_box(name: str, box: Box, size: int, width: int, height: int) -> Box:
    """Above the face; below it, and at last inside it, where the picture ends before."""
    label = Box(box.x, box.y - 1.5 * size, text_width(name, size, bold=True) + size, 1.5 * size)
    if label.y < 0:
        below = box.bottom if box.bottom + label.height <= height else max(0.0, box.y)
        label = Box(label.x, below, label.width, label.height)
    return label.moved_into(width, height)


def _draw_names(
    sheet: Sheet, faces: Sequence[FacePrediction], boxes: Sequence[Box], size: int, numbers: dict[int, int]
) -> None:
    height, width = sheet.pixels.shape[:2]
    for at, (face, box) in enumerate(zip(faces, boxes, strict=True)):
        name = _name_of(face, numbers.get(at))
        colour = colour_of(face.expression)
        label = _label_box(name, box, size, width, height)
        sheet.fill(label, colour)
        sheet.text(label.x + 0.5 * size, label.y + 0.75 * size, name, ink_on(colour), size, bold=True)


def _place_panels(sheet: Sheet, faces: Sequence[FacePrediction], boxes: Sequence[Box], size: int) -> list[Box | None]:
    """Return for every face the room for its bars, None where there is none."""
    height, width = sheet.pixels.shape[:2]
    taken = [
        *boxes,
        *(_label_box(_name_of(f, 9), box, size, width, height) for f, box in zip(faces, boxes, strict=True)),
    ]
    places: list[Box | None] = []
    for face, box in zip(faces, boxes, strict=True):
        panel = panel_of(face, size)
        place = find_room(panel.width, panel.height, box, taken, (width, height))
        places.append(place)
        taken += [place] if place else []
    return places


def _draw_column(sheet: Sheet, entries: Sequence[tuple[FacePrediction, int]], size: int, numbered: bool) -> None:
    """Add columns on the right for the panels that found no room."""
    if not entries:
        return
    panels = [panel_of(face, size, f"{number}  {face.expression}" if numbered else "") for face, number in entries]
    height, width = sheet.pixels.shape[:2]
    step_x, step_y = max(panel.width for panel in panels) + size, panels[0].height + 0.5 * size
    tallest = max(height, round(step_y))
    per_column = max(1, int(tallest // step_y))
    columns = -(-len(panels) // per_column)
    canvas = np.empty((tallest, width + round(columns * step_x), 3), np.uint8)
    canvas[:] = _COLUMN
    canvas[:height, :width] = sheet.pixels
    sheet.pixels = canvas
    for at, panel in enumerate(panels):
        column, row = divmod(at, per_column)
        panel.draw(sheet, width + (column + 0.5) * step_x - panel.width / 2, row * step_y + 0.25 * size)
