"""Features of the schematic faces that action units move: eyes, brows, cheeks, nose, forehead, mouth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fer_lmdb.data.sources.face_canvas import FaceCanvas, Points, bezier, ellipse, shade

EYE_X, EYE_Y = 0.42, -0.22
NOSE_Y = 0.24
MOUTH_Y = 0.62


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


class ActionUnits(dict[int, float]):
    """Strengths by action unit; the default is 0."""

    def __missing__(self, key: int) -> float:
        return 0.0


def draw_eye(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits, mirror: float) -> None:
    """Draw one eye: lids, white, iris and lash line; `mirror` is -1 or 1 for the left or right side of the image."""
    x, width = EYE_X * mirror, 0.2 * appearance.eye_size
    upper = 0.13 * appearance.eye_size * (1 + 0.75 * units[5] - 0.4 * units[7] - 0.3 * units[6] - 0.25 * units[9])
    lower = 0.09 * appearance.eye_size * (1 + 0.1 * units[5] - 0.45 * units[7] - 0.6 * units[6] - 0.4 * units[9])
    droop = 0.03 * (units[1] * units[4] + 0.6 * units[15])  # outer corners of sad eyes droop
    inner, outer = (x - width * mirror, EYE_Y), (x + width * mirror, EYE_Y + droop)
    top = bezier(
        inner,
        (x - 0.6 * width * mirror, EYE_Y - 1.6 * upper),
        (x + 0.5 * width * mirror, EYE_Y - 1.6 * upper + droop),
        outer,
    )
    bottom = bezier(
        inner, (x - 0.5 * width * mirror, EYE_Y + 1.6 * lower), (x + 0.5 * width * mirror, EYE_Y + 1.6 * lower), outer
    )
    canvas.fill(ellipse(x, EYE_Y - 0.06, 1.35 * width, 0.2), shade(appearance.skin, 0.86))
    canvas.fill(np.concatenate([top, bottom[::-1]]), min(255.0, appearance.skin * 0.4 + 150))
    canvas.fill(ellipse(x, EYE_Y - 0.02, 0.1, 0.1, 16), appearance.iris)
    canvas.fill(ellipse(x, EYE_Y - 0.02, 0.05, 0.05, 12), shade(appearance.iris, 0.3))
    _cover_iris(canvas, appearance, top, bottom)
    lash = shade(appearance.skin, 0.25)
    canvas.stroke(top, lash, 1.4 * appearance.line)
    canvas.stroke(bottom, shade(appearance.skin, 0.55), 0.7 * appearance.line)
    canvas.stroke(
        top[2:-2] - [0, 0.05 + 0.3 * max(0.0, upper - 0.1)], shade(appearance.skin, 0.66), 0.5 * appearance.line
    )
    _draw_lower_lid(canvas, appearance, units, x, lower)


def _cover_iris(canvas: FaceCanvas, appearance: PersonAppearance, top: Points, bottom: Points) -> None:
    """Paint the lids over the part of the iris outside the eye."""
    lid = shade(appearance.skin, 0.86)
    canvas.fill(np.concatenate([top, top[::-1] * [1, 0] + [0, EYE_Y - 0.16]]), lid)
    canvas.fill(np.concatenate([bottom, bottom[::-1] * [1, 0] + [0, EYE_Y + 0.14]]), lid)


def _draw_lower_lid(
    canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits, x: float, lower: float
) -> None:
    """Draw the fold below the eye of raised cheeks (AU6) and tight lids (AU7)."""
    fold = max(units[6], 0.6 * units[7], 0.5 * units[9])
    if fold > 0.15:
        y = EYE_Y + lower + 0.07
        curve = bezier((x - 0.2, y), (x, y + 0.1), (x + 0.2, y - 0.01))
        canvas.stroke(curve, shade(appearance.skin, 1 - 0.45 * fold), 0.8 * appearance.line)


def draw_brow(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits, mirror: float) -> None:
    """Draw one brow, raised by AU1 and AU2 and lowered by AU4."""
    rest = EYE_Y - 0.33
    inner_y = rest - 0.17 * units[1] + 0.17 * units[4] + 0.08 * units[9]
    middle_y = rest - 0.06 - 0.06 * units[1] - 0.12 * units[2] + 0.09 * units[4] + 0.08 * units[9]
    outer_y = rest + 0.02 - 0.15 * units[2] + 0.02 * units[4]
    inner_x = (0.19 - 0.06 * units[4]) * mirror
    spine = bezier(
        (inner_x, inner_y), (0.44 * mirror, 2 * middle_y - 0.5 * (inner_y + outer_y)), (0.72 * mirror, outer_y)
    )
    half = 0.5 * appearance.brow_thickness * np.linspace(1, 0.35, len(spine))[:, None] * [0, 1]
    canvas.fill(np.concatenate([spine - half, (spine + half)[::-1]]), appearance.brow)


def draw_cheek(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits, mirror: float) -> None:
    """Draw the nasolabial furrow and crow's feet."""
    furrow = max(0.9 * units[12], 0.9 * units[9], 0.45 * units[15], 0.4 * units[20], 0.08)
    start = (0.25 * mirror, NOSE_Y - 0.08 - 0.06 * units[9])
    bend = ((0.42 + 0.12 * units[12]) * mirror, MOUTH_Y - 0.22)
    end = ((0.47 + 0.08 * units[12]) * mirror, MOUTH_Y - 0.08 * units[12] + 0.08 * units[15])
    canvas.stroke(bezier(start, bend, end), shade(appearance.skin, 1 - 0.4 * furrow), appearance.line)
    if units[6] > 0.3:
        for rise in (-0.08, 0.0, 0.08):
            foot = np.array([[0.7 * mirror, EYE_Y + 0.3 * rise], [0.82 * mirror, EYE_Y + rise]])
            canvas.stroke(foot, shade(appearance.skin, 1 - 0.35 * units[6]), 0.5 * appearance.line)


def draw_nose(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits) -> None:
    """Draw the nose, with the wrinkles of AU9."""
    dark, width, lift = shade(appearance.skin, 0.62), appearance.nose_width, 0.06 * units[9]
    bottom = NOSE_Y - lift
    canvas.fill(
        np.array([[0.03, EYE_Y], [0.55 * width, bottom - 0.02], [0.02, bottom + 0.04]]), shade(appearance.skin, 0.9)
    )
    canvas.stroke(
        bezier((-0.06, EYE_Y + 0.1), (-0.05, 0.05), (-0.8 * width, bottom - 0.08)),
        shade(appearance.skin, 0.8),
        0.7 * appearance.line,
    )
    for mirror in (-1.0, 1.0):
        wing = bezier(
            (0.8 * width * mirror, bottom - 0.12),
            (1.25 * width * mirror, bottom),
            (0.5 * width * mirror, bottom + 0.02),
        )
        canvas.stroke(wing, dark, appearance.line)
        canvas.fill(ellipse(0.45 * width * mirror, bottom + 0.02, 0.045, 0.028, 12), shade(appearance.skin, 0.3))
    for height in (-0.02, 0.06, 0.14) if units[9] > 0.2 else ():
        wrinkle = bezier((-0.11, EYE_Y + height + 0.05), (0, EYE_Y + height - 0.03), (0.11, EYE_Y + height + 0.05))
        canvas.stroke(wrinkle, shade(appearance.skin, 1 - 0.5 * units[9]), 0.8 * appearance.line)


def draw_forehead(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits) -> None:
    """Draw the wrinkles of raised (AU1, AU2) and lowered brows (AU4)."""
    raised = max(units[2], 0.7 * units[1])
    half = 0.5 if units[2] > 0.3 else 0.22  # AU1 wrinkles only the middle of the forehead
    for height in (-0.8, -0.9) if raised > 0.25 else ():
        wrinkle = bezier((-half, height + 0.02), (0, height - 0.03), (half, height + 0.02))
        canvas.stroke(wrinkle, shade(appearance.skin, 1 - 0.3 * raised), 0.6 * appearance.line)
    for x in (-0.06, 0.06) if units[4] > 0.3 else ():
        frown = np.array([[x, -0.62], [0.7 * x, -0.42]])
        canvas.stroke(frown, shade(appearance.skin, 1 - 0.45 * units[4]), 0.8 * appearance.line)


def draw_mouth(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits) -> list[tuple[float, float]]:
    """Draw lips, opening and teeth; return the left and the right corner."""
    rounded = units[26] * (1 - units[20]) * (1 - units[12])
    half = 0.34 * (1 + 0.35 * units[12] + 0.35 * units[20] - 0.18 * units[23] - 0.3 * rounded)
    corner = MOUTH_Y - 0.15 * units[12] + 0.13 * units[15] + 0.04 * units[20]
    opening = 0.05 * units[25] + 0.36 * units[26] + 0.1 * units[16]
    lift = 0.09 * units[10] + 0.04 * units[9]
    lip = appearance.lip_thickness * (1 - 0.6 * units[23]) * (1 - 0.25 * units[12])
    opening += 0.06 * units[12] * units[25]
    upper, lower = MOUTH_Y - lift - 0.12 * opening, MOUTH_Y - lift + 0.88 * opening + 0.05 * units[12]
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
    canvas.fill(inner, shade(appearance.skin, 0.18))
    if opening > 0.08:
        _draw_teeth(canvas, appearance, units, half, corner, upper, opening)
    canvas.stroke(across(upper), shade(appearance.skin, 0.25), appearance.line)
    _draw_chin(canvas, appearance, units, lower + 1.25 * lip)
    return [(-half, corner), (half, corner)]


def _draw_teeth(
    canvas: FaceCanvas,
    appearance: PersonAppearance,
    units: ActionUnits,
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


def _draw_chin(canvas: FaceCanvas, appearance: PersonAppearance, units: ActionUnits, below: float) -> None:
    y = below + 0.07
    canvas.stroke(
        bezier((-0.14, y), (0, y + 0.05), (0.14, y)),
        shade(appearance.skin, 0.8 - 0.2 * units[15]),
        0.8 * appearance.line,
    )
