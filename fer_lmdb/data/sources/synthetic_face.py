"""Draw a schematic gray face from facial action units (FACS), with known landmarks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources.face_canvas import FaceCanvas, Points, Pose, bezier, ellipse, shade
from fer_lmdb.data.sources.face_features import (
    EYE_X,
    EYE_Y,
    NOSE_Y,
    ActionUnits,
    PersonAppearance,
    draw_brow,
    draw_cheek,
    draw_eye,
    draw_forehead,
    draw_mouth,
    draw_nose,
)


def draw(
    appearance: PersonAppearance, pose: Pose, units: Mapping[int, float], side: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw a face.

    Args:
        appearance: The person.
        pose: Pose of the head.
        units: Strength 0-1 by number of the action unit; the default is 0.
        side: Width and height of the image in pixels.

    Returns:
        (side, side) uint8 gray, and (5, 2) float32 x, y: left eye, right eye, nose, left and right mouth corner.
    """
    canvas = FaceCanvas(side, pose, appearance.background)
    strength = ActionUnits(units)
    _draw_head(canvas, appearance, strength)
    for mirror in (-1.0, 1.0):
        draw_eye(canvas, appearance, strength, mirror)
        draw_brow(canvas, appearance, strength, mirror)
        draw_cheek(canvas, appearance, strength, mirror)
    draw_nose(canvas, appearance, strength)
    draw_forehead(canvas, appearance, strength)
    corners = draw_mouth(canvas, appearance, strength)
    _draw_hair(canvas, appearance)
    if appearance.glasses:
        _draw_glasses(canvas, appearance)
    canvas.round_off(appearance.shading)
    anchors = np.array([[-EYE_X, EYE_Y], [EYE_X, EYE_Y], [0, NOSE_Y - 0.04], *corners])
    return canvas.pixels, canvas.to_pixels(anchors).astype(np.float32)


def _draw_head(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits) -> None:
    if appearance.hair_style == "long":
        canvas.fill(ellipse(0, 0.05, 1.2, 1.45), appearance.hair, flat=True)
    shoulders = np.array([[-0.45, 1.5], [0.45, 1.5], [1.7, 1.9], [1.7, 3], [-1.7, 3], [-1.7, 1.9]])
    canvas.fill(np.array([[-0.45, 0.8], [0.45, 0.8], [0.5, 1.9], [-0.5, 1.9]]), shade(appearance.skin, 0.72), flat=True)
    canvas.fill(shoulders, appearance.shirt, flat=True)
    for mirror in (-1.0, 1.0):
        canvas.fill(ellipse(0.99 * mirror, 0.02, 0.12, 0.26), shade(appearance.skin, 0.85), flat=True)
    head = _head_outline(appearance, units)
    canvas.fill(head, appearance.skin, flat=True)
    canvas.stroke(np.concatenate([head, head[:1]]), shade(appearance.skin, 0.6), 0.7 * appearance.line, flat=True)


def _head_outline(appearance: PersonAppearance, units: ActionUnits) -> Points:
    """Return half an ellipse for the skull and a narrower one for the jaw, which AU26 lowers."""
    chin = appearance.chin + 0.16 * units[26]
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    jaw = np.clip(y, 0, 1)
    narrow = 1 - (1 - appearance.jaw) * jaw**1.5
    squared = np.sign(x) * np.abs(x) ** np.where(y > 0, 0.85, 1.0)
    return np.stack([squared * narrow, np.where(y > 0, y * chin, y * 1.2)], axis=1)


def _draw_hair(canvas: FaceCanvas, appearance: PersonAppearance) -> None:
    """Draw the hair from ear to ear, with the parting in the hairline."""
    if appearance.hair_style == "bald":
        return
    height = {"short": -0.86, "long": -0.84, "fringe": -0.62, "receding": -1.05}[appearance.hair_style]
    part = appearance.parting
    angle = np.linspace(math.pi, 2 * math.pi, 30)
    crown = np.stack([1.07 * np.cos(angle), -0.1 + 1.25 * np.sin(angle)], axis=1)
    right = bezier((0.99, -0.05), (0.9, -0.5), (0.85, height), (part, height - 0.12))
    left = bezier((part, height - 0.12), (-0.85, height), (-0.9, -0.5), (-0.99, -0.05))
    canvas.fill(np.concatenate([crown, right, left]), appearance.hair, flat=True)


def _draw_glasses(canvas: FaceCanvas, appearance: PersonAppearance) -> None:
    for mirror in (-1.0, 1.0):
        canvas.stroke(ellipse(EYE_X * mirror, EYE_Y, 0.3, 0.24), 30, 1.2 * appearance.line)
        canvas.stroke(np.array([[0.72 * mirror, EYE_Y], [0.99 * mirror, EYE_Y - 0.05]]), 30, appearance.line)
    canvas.stroke(bezier((-0.12, EYE_Y), (0, EYE_Y - 0.06), (0.12, EYE_Y)), 30, 1.2 * appearance.line)
