"""Draw a schematic gray face from facial action units (FACS), with known landmarks.

Coordinates are face units: the origin is between eyes and nose, x points right in the image, y down, and 1 is half the
width of the head. `FaceCanvas` maps face units to pixels (yaw, roll, scale, shift), so the drawing code is independent
of the pose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2) x, y in face units."""

_SUBPIXEL_BITS = 4
_EYE_X, _EYE_Y = 0.42, -0.22
_NOSE_Y = 0.24
_MOUTH_Y = 0.62


@dataclass(frozen=True)
class PersonAppearance:
    """Appearance of a person without expression; gray values are 0-255."""

    skin: float
    hair: float
    brow: float
    lips: float
    iris: float
    background: float
    line: float
    shading: float
    jaw: float
    chin: float
    eye_size: float
    brow_thickness: float
    lip_thickness: float
    nose_width: float
    hair_style: str
    parting: float
    shirt: float
    glasses: bool
    moustache: bool


@dataclass(frozen=True)
class Pose:
    """Pose of the head: angles in radians, scale and shifts as fractions of the image side."""

    roll: float
    yaw: float
    scale: float
    shift_x: float
    shift_y: float


class FaceCanvas:
    """Square gray canvas with coordinates in face units.

    Args:
        side: Width and height in pixels.
        pose: Mapping of face units to pixels.
        gray: Background, 0-255.
    """

    def __init__(self, side: int, pose: Pose, gray: float) -> None:
        self.pixels = np.full((side, side), gray, np.uint8)
        self.pose = pose
        self.unit = pose.scale * side

    def to_pixels(self, points: Points, flat: bool = False) -> Points:
        """Apply yaw, roll, scale and shift; yaw moves features on the curved front of the head, not flat outlines."""
        x, y = np.asarray(points, np.float64).T
        depth = np.zeros_like(x) if flat else np.sqrt(np.clip(1 - x**2 - 0.25 * y**2, 0, None))
        turned = x * math.cos(self.pose.yaw) + depth * math.sin(self.pose.yaw)
        cosine, sine = math.cos(self.pose.roll), math.sin(self.pose.roll)
        side = len(self.pixels)
        return np.stack(
            [
                (cosine * turned - sine * y) * self.unit + (0.5 + self.pose.shift_x) * side,
                (sine * turned + cosine * y) * self.unit + (0.5 + self.pose.shift_y) * side,
            ],
            axis=1,
        )

    def fill(self, points: Points, gray: float, flat: bool = False) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.pixels, [self._fixed_point(points, flat)], gray, cv2.LINE_AA, _SUBPIXEL_BITS)

    def stroke(self, points: Points, gray: float, width: float, flat: bool = False) -> None:
        """Draw a line; its width is in face units."""
        thickness = max(1, round(width * self.unit))
        line = [self._fixed_point(points, flat)]
        cv2.polylines(self.pixels, line, False, gray, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)

    def round_off(self, strength: float) -> None:
        """Darken the image away from the center of the face, like a round head lit from the front."""
        side = len(self.pixels)
        pixel = np.arange(side, dtype=np.float32)
        x, y = ((pixel - (0.5 + shift) * side) / self.unit for shift in (self.pose.shift_x, self.pose.shift_y))
        distance = x[None, :] ** 2 + 0.6 * y[:, None] ** 2
        self.pixels = (self.pixels * (1 - strength * distance / (1 + 0.4 * distance))).astype(np.uint8)

    def _fixed_point(self, points: Points, flat: bool) -> NDArray[np.int32]:
        return np.round(self.to_pixels(points, flat) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


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
    strength = _AllUnits(units)
    _draw_head(canvas, appearance, strength)
    for mirror in (-1.0, 1.0):
        _draw_eye(canvas, appearance, strength, mirror)
        _draw_brow(canvas, appearance, strength, mirror)
        _draw_cheek(canvas, appearance, strength, mirror)
    _draw_nose(canvas, appearance, strength)
    _draw_forehead(canvas, appearance, strength)
    corners = _draw_mouth(canvas, appearance, strength)
    _draw_hair(canvas, appearance)
    if appearance.glasses:
        _draw_glasses(canvas, appearance)
    canvas.round_off(appearance.shading)
    anchors = np.array([[-_EYE_X, _EYE_Y], [_EYE_X, _EYE_Y], [0, _NOSE_Y - 0.04], *corners])
    return canvas.pixels, canvas.to_pixels(anchors).astype(np.float32)


class _AllUnits(dict[int, float]):
    """Strengths by action unit; the default is 0."""

    def __missing__(self, key: int) -> float:
        return 0.0


def bezier(*controls: tuple[float, float], steps: int = 14) -> Points:
    """Sample a Bezier curve of any degree: (steps, 2) points from the first control point to the last."""
    points = np.array(controls, np.float64)[:, None, :]
    t = np.linspace(0, 1, steps)[:, None]
    while len(points) > 1:
        points = points[:-1] * (1 - t) + points[1:] * t
    return points[0]


def ellipse(x: float, y: float, half_width: float, half_height: float, steps: int = 28) -> Points:
    """Sample an ellipse."""
    angle = np.linspace(0, 2 * math.pi, steps)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], axis=1)


def _shade(gray: float, factor: float) -> float:
    return float(np.clip(gray * factor, 0, 255))


def _draw_head(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits) -> None:
    if appearance.hair_style == "long":
        canvas.fill(ellipse(0, 0.05, 1.2, 1.45), appearance.hair, flat=True)
    shoulders = np.array([[-0.45, 1.5], [0.45, 1.5], [1.7, 1.9], [1.7, 3], [-1.7, 3], [-1.7, 1.9]])
    canvas.fill(
        np.array([[-0.45, 0.8], [0.45, 0.8], [0.5, 1.9], [-0.5, 1.9]]), _shade(appearance.skin, 0.72), flat=True
    )
    canvas.fill(shoulders, appearance.shirt, flat=True)
    for mirror in (-1.0, 1.0):
        canvas.fill(ellipse(0.99 * mirror, 0.02, 0.12, 0.26), _shade(appearance.skin, 0.85), flat=True)
    head = _head_outline(appearance, units)
    canvas.fill(head, appearance.skin, flat=True)
    canvas.stroke(np.concatenate([head, head[:1]]), _shade(appearance.skin, 0.6), 0.7 * appearance.line, flat=True)


def _head_outline(appearance: PersonAppearance, units: _AllUnits) -> Points:
    """Return half an ellipse for the skull and a narrower one for the jaw, which AU26 lowers."""
    chin = appearance.chin + 0.16 * units[26]
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    jaw = np.clip(y, 0, 1)
    narrow = 1 - (1 - appearance.jaw) * jaw**1.5
    squared = np.sign(x) * np.abs(x) ** np.where(y > 0, 0.85, 1.0)
    return np.stack([squared * narrow, np.where(y > 0, y * chin, y * 1.2)], axis=1)


def _draw_eye(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits, mirror: float) -> None:
    x, width = _EYE_X * mirror, 0.2 * appearance.eye_size
    upper = 0.13 * appearance.eye_size * (1 + 0.75 * units[5] - 0.4 * units[7] - 0.3 * units[6] - 0.25 * units[9])
    lower = 0.09 * appearance.eye_size * (1 + 0.1 * units[5] - 0.45 * units[7] - 0.6 * units[6] - 0.4 * units[9])
    droop = 0.03 * (units[1] * units[4] + 0.6 * units[15])  # outer corners of sad eyes droop
    inner, outer = (x - width * mirror, _EYE_Y), (x + width * mirror, _EYE_Y + droop)
    top = bezier(
        inner,
        (x - 0.6 * width * mirror, _EYE_Y - 1.6 * upper),
        (x + 0.5 * width * mirror, _EYE_Y - 1.6 * upper + droop),
        outer,
    )
    bottom = bezier(
        inner, (x - 0.5 * width * mirror, _EYE_Y + 1.6 * lower), (x + 0.5 * width * mirror, _EYE_Y + 1.6 * lower), outer
    )
    canvas.fill(ellipse(x, _EYE_Y - 0.06, 1.35 * width, 0.2), _shade(appearance.skin, 0.86))
    canvas.fill(np.concatenate([top, bottom[::-1]]), min(255.0, appearance.skin * 0.4 + 150))
    canvas.fill(ellipse(x, _EYE_Y - 0.02, 0.1, 0.1, 16), appearance.iris)
    canvas.fill(ellipse(x, _EYE_Y - 0.02, 0.05, 0.05, 12), _shade(appearance.iris, 0.3))
    _cover_iris(canvas, appearance, top, bottom)
    lash = _shade(appearance.skin, 0.25)
    canvas.stroke(top, lash, 1.4 * appearance.line)
    canvas.stroke(bottom, _shade(appearance.skin, 0.55), 0.7 * appearance.line)
    canvas.stroke(
        top[2:-2] - [0, 0.05 + 0.3 * max(0.0, upper - 0.1)], _shade(appearance.skin, 0.66), 0.5 * appearance.line
    )
    _draw_lower_lid(canvas, appearance, units, x, lower)


def _cover_iris(canvas: FaceCanvas, appearance: PersonAppearance, top: Points, bottom: Points) -> None:
    """Paint the lids over the part of the iris outside the eye."""
    lid = _shade(appearance.skin, 0.86)
    canvas.fill(np.concatenate([top, top[::-1] * [1, 0] + [0, _EYE_Y - 0.16]]), lid)
    canvas.fill(np.concatenate([bottom, bottom[::-1] * [1, 0] + [0, _EYE_Y + 0.14]]), lid)


def _draw_lower_lid(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits, x: float, lower: float) -> None:
    """Draw the fold below the eye of raised cheeks (AU6) and tight lids (AU7)."""
    fold = max(units[6], 0.6 * units[7], 0.5 * units[9])
    if fold > 0.15:
        y = _EYE_Y + lower + 0.07
        curve = bezier((x - 0.2, y), (x, y + 0.1), (x + 0.2, y - 0.01))
        canvas.stroke(curve, _shade(appearance.skin, 1 - 0.45 * fold), 0.8 * appearance.line)


def _draw_brow(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits, mirror: float) -> None:
    rest = _EYE_Y - 0.33
    inner_y = rest - 0.17 * units[1] + 0.17 * units[4] + 0.08 * units[9]
    middle_y = rest - 0.06 - 0.06 * units[1] - 0.12 * units[2] + 0.09 * units[4] + 0.08 * units[9]
    outer_y = rest + 0.02 - 0.15 * units[2] + 0.02 * units[4]
    inner_x = (0.19 - 0.06 * units[4]) * mirror
    spine = bezier(
        (inner_x, inner_y), (0.44 * mirror, 2 * middle_y - 0.5 * (inner_y + outer_y)), (0.72 * mirror, outer_y)
    )
    half = 0.5 * appearance.brow_thickness * np.linspace(1, 0.35, len(spine))[:, None] * [0, 1]
    canvas.fill(np.concatenate([spine - half, (spine + half)[::-1]]), appearance.brow)


def _draw_cheek(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits, mirror: float) -> None:
    """Draw the nasolabial furrow and crow's feet."""
    furrow = max(0.9 * units[12], 0.9 * units[9], 0.45 * units[15], 0.4 * units[20], 0.08)
    start = (0.25 * mirror, _NOSE_Y - 0.08 - 0.06 * units[9])
    bend = ((0.42 + 0.12 * units[12]) * mirror, _MOUTH_Y - 0.22)
    end = ((0.47 + 0.08 * units[12]) * mirror, _MOUTH_Y - 0.08 * units[12] + 0.08 * units[15])
    canvas.stroke(bezier(start, bend, end), _shade(appearance.skin, 1 - 0.4 * furrow), appearance.line)
    if units[6] > 0.3:
        for rise in (-0.08, 0.0, 0.08):
            foot = np.array([[0.7 * mirror, _EYE_Y + 0.3 * rise], [0.82 * mirror, _EYE_Y + rise]])
            canvas.stroke(foot, _shade(appearance.skin, 1 - 0.35 * units[6]), 0.5 * appearance.line)


def _draw_nose(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits) -> None:
    dark, width, lift = _shade(appearance.skin, 0.62), appearance.nose_width, 0.06 * units[9]
    bottom = _NOSE_Y - lift
    canvas.fill(
        np.array([[0.03, _EYE_Y], [0.55 * width, bottom - 0.02], [0.02, bottom + 0.04]]), _shade(appearance.skin, 0.9)
    )
    canvas.stroke(
        bezier((-0.06, _EYE_Y + 0.1), (-0.05, 0.05), (-0.8 * width, bottom - 0.08)),
        _shade(appearance.skin, 0.8),
        0.7 * appearance.line,
    )
    for mirror in (-1.0, 1.0):
        wing = bezier(
            (0.8 * width * mirror, bottom - 0.12),
            (1.25 * width * mirror, bottom),
            (0.5 * width * mirror, bottom + 0.02),
        )
        canvas.stroke(wing, dark, appearance.line)
        canvas.fill(ellipse(0.45 * width * mirror, bottom + 0.02, 0.045, 0.028, 12), _shade(appearance.skin, 0.3))
    for height in (-0.02, 0.06, 0.14) if units[9] > 0.2 else ():
        wrinkle = bezier((-0.11, _EYE_Y + height + 0.05), (0, _EYE_Y + height - 0.03), (0.11, _EYE_Y + height + 0.05))
        canvas.stroke(wrinkle, _shade(appearance.skin, 1 - 0.5 * units[9]), 0.8 * appearance.line)


def _draw_forehead(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits) -> None:
    raised = max(units[2], 0.7 * units[1])
    half = 0.5 if units[2] > 0.3 else 0.22  # AU1 wrinkles only the middle of the forehead
    for height in (-0.8, -0.9) if raised > 0.25 else ():
        wrinkle = bezier((-half, height + 0.02), (0, height - 0.03), (half, height + 0.02))
        canvas.stroke(wrinkle, _shade(appearance.skin, 1 - 0.3 * raised), 0.6 * appearance.line)
    for x in (-0.06, 0.06) if units[4] > 0.3 else ():
        frown = np.array([[x, -0.62], [0.7 * x, -0.42]])
        canvas.stroke(frown, _shade(appearance.skin, 1 - 0.45 * units[4]), 0.8 * appearance.line)


def _draw_mouth(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits) -> list[tuple[float, float]]:
    """Draw lips, opening and teeth; return the left and the right corner."""
    rounded = units[26] * (1 - units[20]) * (1 - units[12])
    half = 0.34 * (1 + 0.35 * units[12] + 0.35 * units[20] - 0.18 * units[23] - 0.3 * rounded)
    corner = _MOUTH_Y - 0.15 * units[12] + 0.13 * units[15] + 0.04 * units[20]
    opening = 0.05 * units[25] + 0.36 * units[26] + 0.1 * units[16]
    lift = 0.09 * units[10] + 0.04 * units[9]
    lip = appearance.lip_thickness * (1 - 0.6 * units[23]) * (1 - 0.25 * units[12])
    opening += 0.06 * units[12] * units[25]
    upper, lower = _MOUTH_Y - lift - 0.12 * opening, _MOUTH_Y - lift + 0.88 * opening + 0.05 * units[12]
    if appearance.moustache:
        canvas.fill(ellipse(0, upper - 0.15, 0.8 * half, 0.07), appearance.brow)

    def across(y: float, dip: float = 0.0) -> Points:
        return bezier(
            (-half, corner),
            (-0.5 * half, y * 2 - corner - dip),
            (0, y),
            (0.5 * half, y * 2 - corner - dip),
            (half, corner),
        )

    inner = np.concatenate([across(upper), across(lower)[::-1]])
    outer = np.concatenate([across(upper - lip, 0.3 * lip), across(lower + 1.25 * lip)[::-1]])
    canvas.fill(outer, appearance.lips)
    canvas.fill(inner, _shade(appearance.skin, 0.18))
    if opening > 0.08:
        _draw_teeth(canvas, appearance, units, half, corner, upper, opening)
    canvas.stroke(across(upper), _shade(appearance.skin, 0.25), appearance.line)
    _draw_chin(canvas, appearance, units, lower + 1.25 * lip)
    return [(-half, corner), (half, corner)]


def _draw_teeth(
    canvas: FaceCanvas,
    appearance: PersonAppearance,
    units: _AllUnits,
    half: float,
    corner: float,
    upper: float,
    opening: float,
) -> None:
    show = max(units[12], units[20], units[10], 0.35)
    edge = bezier(
        (-0.8 * half, 0.7 * corner + 0.3 * upper), (0, upper + 0.02), (0.8 * half, 0.7 * corner + 0.3 * upper)
    )
    down = min(0.1, 0.45 * opening) * show * np.sin(np.linspace(0, math.pi, len(edge)))[:, None] * [0, 1]
    canvas.fill(np.concatenate([edge, (edge + down)[::-1]]), min(255.0, appearance.skin * 0.3 + 175))


def _draw_chin(canvas: FaceCanvas, appearance: PersonAppearance, units: _AllUnits, below: float) -> None:
    y = below + 0.07
    canvas.stroke(
        bezier((-0.14, y), (0, y + 0.05), (0.14, y)),
        _shade(appearance.skin, 0.8 - 0.2 * units[15]),
        0.8 * appearance.line,
    )


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
        canvas.stroke(ellipse(_EYE_X * mirror, _EYE_Y, 0.3, 0.24), 30, 1.2 * appearance.line)
        canvas.stroke(np.array([[0.72 * mirror, _EYE_Y], [0.99 * mirror, _EYE_Y - 0.05]]), 30, appearance.line)
    canvas.stroke(bezier((-0.12, _EYE_Y), (0, _EYE_Y - 0.06), (0.12, _EYE_Y)), 30, 1.2 * appearance.line)
