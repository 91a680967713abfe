"""Canvas and curves of the schematic faces.

Coordinates are face units: the origin is between eyes and nose, x points right in the image, y down, and 1 is half the
width of the head. `FaceCanvas` maps face units to pixels (yaw, roll, scale, shift), so the drawing code is independent
of the pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2) x, y in face units."""

_SUBPIXEL_BITS = 4


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


def shade(gray: float, factor: float) -> float:
    """Return a gray value times a factor, clipped to 0-255."""
    return float(np.clip(gray * factor, 0, 255))
