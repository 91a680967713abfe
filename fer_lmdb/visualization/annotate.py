"""Annotated images: boxes, landmarks, expression names and probability bars.

Panels of bars that do not fit without covering a face are placed in a column to the right of the image and numbered
like their faces. Small images are upscaled so that the text is legible.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.io.image_source import ImageSource, load_image
from fer_lmdb.results import FacePrediction
from fer_lmdb.visualization.canvas import Canvas, Rect, text_width
from fer_lmdb.visualization.colors import color_of, text_color_on
from fer_lmdb.visualization.detection import draw_detection
from fer_lmdb.visualization.panel import make_panel, place_panel

MIN_SIDE = 400
MAX_UPSCALED_SIDE = 4096
MIN_FONT_SIZE = 12
_BACKGROUND = (24, 24, 24)


def annotate(
    image: ImageSource, faces: Sequence[FacePrediction], *, same_size: bool = False, note: str = ""
) -> NDArray[np.uint8]:
    """Draw faces and their expressions on a copy of an image.

    Args:
        image: Image in the forms that `Recognizer.predict` takes; arrays in RGB.
        faces: Predictions for the image, in its pixels.
        same_size: Keep height and width, as required for video frames; panels that do not fit are omitted.
        note: Text for the upper left corner, e.g. the frame rate.

    Returns:
        (H', W', 3) uint8 RGB; larger than the image if it was upscaled or extended by a column of panels.

    Raises:
        TypeError: If `image` has another type.
        ImageError: If the file cannot be read, or dtype or shape of the array are not supported.
    """
    pixels = load_image(image)
    scale = 1 if same_size else upscale_factor(pixels.shape[1], pixels.shape[0])
    canvas = Canvas(_upscale(pixels, scale))
    boxes = [Rect(*(value * scale for value in face.box)) for face in faces]
    size = font_size(boxes, pixels.shape[1] * scale, pixels.shape[0] * scale)
    if note:
        canvas.fill(Rect(0, 0, text_width(note, size) + size, 1.6 * size), _BACKGROUND, 0.72)
        canvas.text(0.5 * size, 0.8 * size, note, (255, 255, 255), size)
    _draw_detections(canvas, faces, boxes, scale, size)
    places = _place_panels(canvas, faces, boxes, size)
    unplaced = [] if same_size else [at for at, place in enumerate(places) if place is None]
    numbers = {at: number for number, at in enumerate(unplaced, 1)}
    _draw_names(canvas, faces, boxes, size, numbers if len(faces) > 1 else {})
    for face, place in zip(faces, places, strict=True):
        if place is not None:
            make_panel(face, size).draw(canvas, place.x, place.y)
    _draw_column(canvas, [(faces[at], number) for at, number in numbers.items()], size, len(faces) > 1)
    return canvas.finish()


def upscale_factor(width: int, height: int) -> int:
    """Return the integer factor that brings the shorter side to MIN_SIDE, limited by MAX_UPSCALED_SIDE."""
    return max(1, min(-(-MIN_SIDE // min(width, height)), MAX_UPSCALED_SIDE // max(width, height)))


def font_size(boxes: Sequence[Rect], width: int, height: int) -> int:
    """Return the font size in pixels: proportional to the faces, within limits relative to the image size."""
    short = min(width, height)
    preferred = 0.11 * float(np.median([box.width for box in boxes])) if boxes else short / 30
    return round(min(max(preferred, MIN_FONT_SIZE, short / 55), max(MIN_FONT_SIZE, short / 22)))


def _upscale(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    if scale == 1:
        return np.array(image, order="C")
    size = (image.shape[1] * scale, image.shape[0] * scale)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _draw_detections(
    canvas: Canvas, faces: Sequence[FacePrediction], boxes: Sequence[Rect], scale: int, size: int
) -> None:
    for face, box in zip(faces, boxes, strict=True):
        draw_detection(
            canvas,
            box,
            [(x * scale, y * scale) for x, y in face.landmarks or ()],
            thickness=max(2, round(size / 7)) if face.detected else 1,
            radius=max(1.2, min(size / 8, box.width / 25)),
            color=color_of(face.expression),
        )


def _label_text(face: FacePrediction, number: int | None) -> str:
    """Return the label of a face, e.g. `2  happy 87%`; the number is the track ID in videos."""
    mark = number if face.id is None else face.id
    text = ("" if mark is None else f"{mark}  ") + f"{face.expression} {face.probability:.0%}"
    return text if face.detected else f"{text} (held)"


def _label_box(name: str, box: Rect, size: int, width: int, height: int) -> Rect:
    """Return the label's position: above the face, below it, or inside it if the image has no space."""
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
        name = _label_text(face, numbers.get(at))
        color = color_of(face.expression)
        label = _label_box(name, box, size, width, height)
        canvas.fill(label, color)
        canvas.text(label.x + 0.5 * size, label.y + 0.75 * size, name, text_color_on(color), size, bold=True)


def _place_panels(
    canvas: Canvas, faces: Sequence[FacePrediction], boxes: Sequence[Rect], size: int
) -> list[Rect | None]:
    """Return the position of each face's panel, None if it does not fit."""
    height, width = canvas.pixels.shape[:2]
    labels = [_label_box(_label_text(f, 9), box, size, width, height) for f, box in zip(faces, boxes, strict=True)]
    taken = [*boxes, *labels]
    places: list[Rect | None] = []
    for face, box in zip(faces, boxes, strict=True):
        panel = make_panel(face, size)
        place = place_panel(panel.width, panel.height, box, taken, (width, height))
        places.append(place)
        taken += [place] if place else []
    return places


def _draw_column(canvas: Canvas, entries: Sequence[tuple[FacePrediction, int]], size: int, numbered: bool) -> None:
    """Extend the image to the right by columns of the panels that did not fit."""
    if not entries:
        return
    panels = [make_panel(face, size, f"{number}  {face.expression}" if numbered else "") for face, number in entries]
    height, width = canvas.pixels.shape[:2]
    step_x, step_y = max(panel.width for panel in panels) + size, panels[0].height + 0.5 * size
    column_height = max(height, round(step_y))
    per_column = max(1, int(column_height // step_y))
    columns = -(-len(panels) // per_column)
    canvas.extend_right(round(columns * step_x), _BACKGROUND, min_height=column_height)
    for at, panel in enumerate(panels):
        column, row = divmod(at, per_column)
        panel.draw(canvas, width + (column + 0.5) * step_x - panel.width / 2, row * step_y + 0.25 * size)
