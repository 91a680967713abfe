"""Bounding box and landmarks of one detected face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fer_lmdb.visualization.canvas import Canvas, Rect
from fer_lmdb.visualization.colors import COLORS, Color

LANDMARK_COLOR: Color = (255, 255, 255)
DETECTION_COLOR = COLORS["happy"]
"""Box color if no expression is known."""


def draw_detection(
    canvas: Canvas,
    box: Rect,
    landmarks: Iterable[Sequence[float]],
    *,
    thickness: int,
    radius: float,
    color: Color = DETECTION_COLOR,
) -> None:
    """Draw the box and the landmarks of a face.

    Args:
        canvas: Canvas to draw on.
        box: Bounding box in pixels of the canvas.
        landmarks: x, y of each landmark in pixels of the canvas; may be empty.
        thickness: Line width of the box in pixels.
        radius: Radius of a landmark in pixels.
        color: Color of the box.
    """
    canvas.outline(box, color, thickness)
    for x, y in landmarks:
        canvas.dot(float(x), float(y), radius, LANDMARK_COLOR)
