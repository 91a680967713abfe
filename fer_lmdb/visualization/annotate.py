"""Lay one annotated picture out: boxes first, then names, then bars where there is room for them.

Bars that find no room without hiding a face go into a column on the right, numbered like their faces, so that
nothing is lost in crowds and close-ups. Small pictures are enlarged until letters can be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.results import FacePrediction
from fer_lmdb.visualization.canvas import Canvas, Rect, text_width
from fer_lmdb.visualization.colors import color_of, text_color_on
from fer_lmdb.visualization.panel import make_panel, place_panel

MIN_SIDE = 400
MAX_UPSCALED_SIDE = 4096
MIN_FONT_SIZE = 12
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
    zoom = 1 if same_size else upscale_factor(image.shape[1], image.shape[0])
    canvas = Canvas(_upscale(image, zoom))
    boxes = [Rect(*(value * zoom for value in face.box)) for face in faces]
    size = font_size(boxes, image.shape[1] * zoom, image.shape[0] * zoom)
    if note:
        canvas.fill(Rect(0, 0, text_width(note, size) + size, 1.6 * size), _COLUMN, 0.72)
        canvas.text(0.5 * size, 0.8 * size, note, (255, 255, 255), size)
    _draw_boxes(canvas, faces, boxes, zoom, size)
    places = _place_panels(canvas, faces, boxes, size)
    numbers = {} if same_size else {at: i for i, at in enumerate((at for at, p in enumerate(places) if p is None), 1)}
    _draw_names(canvas, faces, boxes, size, numbers if len(faces) > 1 else {})
    for face, place in zip(faces, places, strict=True):
        if place is not None:
            make_panel(face, size).draw(canvas, place.x, place.y)
    _draw_column(canvas, [(faces[at], number) for at, number in numbers.items()], size, len(faces) > 1)
    return canvas.finish()


def upscale_factor(width: int, height: int) -> int:
    """Return the factor by which a small picture is enlarged; a narrow strip only as far as it stays handy."""
    return max(1, min(-(-MIN_SIDE // min(width, height)), MAX_UPSCALED_SIDE // max(width, height)))


def font_size(boxes: Sequence[Rect], width: int, height: int) -> int:
    """Return the height of letters that suits the faces and can still be read when the picture fills a screen."""
    short = min(width, height)
    wish = 0.11 * float(np.median([box.width for box in boxes])) if boxes else short / 30
    return round(min(max(wish, MIN_FONT_SIZE, short / 55), max(MIN_FONT_SIZE, short / 22)))


def _upscale(image: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    if zoom == 1:
        return np.array(image, order="C")
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw_boxes(canvas: Canvas, faces: Sequence[FacePrediction], boxes: Sequence[Rect], zoom: int, size: int) -> None:
    for face, box in zip(faces, boxes, strict=True):
        canvas.outline(box, color_of(face.expression), max(2, round(size / 7)))
    for face, box in zip(faces, boxes, strict=True):
        radius = max(1.2, min(size / 8, box.width / 25))
        for x, y in face.landmarks or ():
            canvas.dot(x * zoom, y * zoom, radius, (255, 255, 255))


def _name_of(face: FacePrediction, number: int | None) -> str:
    """What stands above a face: `2  happy 87%`; in a video the person's number stands in front."""
    mark = number if face.id is None else face.id
    return ("" if mark is None else f"{mark}  ") + f"{face.expression} {face.probability:.0%}"


def _label_box(name: str, box: Rect, size: int, width: int, height: int) -> Rect:
    """Above the face; below it, and at last inside it, where the picture ends before."""
    label = Rect(box.x, box.y - 1.5 * size, text_width(name, size, bold=True) + size, 1.5 * size)
    if label.y < 0:
        below = box.bottom if box.bottom + label.height <= height else max(0.0, box.y)
        label = Rect(label.x, below, label.width, label.height)
    return label.clamped_to(width, height)


def _draw_names(
    canvas: Canvas, faces: Sequence[FacePrediction], boxes: Sequence[Rect], size: int, numbers: dict[int, int]
) -> None:
    height, width = canvas.pixels.shape[:2]
    for at, (face, box) in enumerate(zip(faces, boxes, strict=True)):
        name = _name_of(face, numbers.get(at))
        color = color_of(face.expression)
        label = _label_box(name, box, size, width, height)
        canvas.fill(label, color)
        canvas.text(label.x + 0.5 * size, label.y + 0.75 * size, name, text_color_on(color), size, bold=True)


def _place_panels(
    canvas: Canvas, faces: Sequence[FacePrediction], boxes: Sequence[Rect], size: int
) -> list[Rect | None]:
    """Return for every face the room for its bars, None where there is none."""
    height, width = canvas.pixels.shape[:2]
    taken = [
        *boxes,
        *(_label_box(_name_of(f, 9), box, size, width, height) for f, box in zip(faces, boxes, strict=True)),
    ]
    places: list[Rect | None] = []
    for face, box in zip(faces, boxes, strict=True):
        panel = make_panel(face, size)
        place = place_panel(panel.width, panel.height, box, taken, (width, height))
        places.append(place)
        taken += [place] if place else []
    return places


def _draw_column(canvas: Canvas, entries: Sequence[tuple[FacePrediction, int]], size: int, numbered: bool) -> None:
    """Add columns on the right for the panels that found no room."""
    if not entries:
        return
    panels = [make_panel(face, size, f"{number}  {face.expression}" if numbered else "") for face, number in entries]
    height, width = canvas.pixels.shape[:2]
    step_x, step_y = max(panel.width for panel in panels) + size, panels[0].height + 0.5 * size
    tallest = max(height, round(step_y))
    per_column = max(1, int(tallest // step_y))
    columns = -(-len(panels) // per_column)
    extended = np.empty((tallest, width + round(columns * step_x), 3), np.uint8)
    extended[:] = _COLUMN
    extended[:height, :width] = canvas.pixels
    canvas.pixels = extended
    for at, panel in enumerate(panels):
        column, row = divmod(at, per_column)
        panel.draw(canvas, width + (column + 0.5) * step_x - panel.width / 2, row * step_y + 0.25 * size)
