"""Drawing surface: OpenCV for anti-aliased shapes, Pillow for text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fer_lmdb.visualization.colors import Color

_SUBPIXEL_BITS = 3


@dataclass(frozen=True)
class Rect:
    """Rectangle in pixels: x, y of the top left corner, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """x past the last column."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """y past the last row."""
        return self.y + self.height

    @property
    def area(self) -> float:
        """Area in pixels."""
        return self.width * self.height

    def overlap(self, other: Rect) -> float:
        """Return the area of the intersection."""
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(0.0, width) * max(0.0, height)

    def clamped_to(self, width: float, height: float) -> Rect:
        """Return the rectangle shifted into an image; if it is larger, aligned to the top left corner."""
        x = max(0.0, min(self.x, width - self.width))
        y = max(0.0, min(self.y, height - self.height))
        return Rect(x, y, self.width, self.height)


@dataclass
class Canvas:
    """Image with pending text.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, modified in place.
    """

    pixels: NDArray[np.uint8]
    _texts: list[tuple[tuple[float, float], str, Color, float, bool, str]] = field(default_factory=list)

    def outline(self, box: Rect, color: Color, thickness: int) -> None:
        """Draw the outline of a box with a dark edge on both sides, visible on any background."""
        corners = ((round(box.x), round(box.y)), (round(box.right) - 1, round(box.bottom) - 1))
        cv2.rectangle(self.pixels, *corners, (0, 0, 0), thickness + 2 * max(1, thickness // 3))
        cv2.rectangle(self.pixels, *corners, color, thickness)

    def fill(self, box: Rect, color: Color, opacity: float = 1.0) -> None:
        """Fill a rectangle; the part outside the image is ignored."""
        left, top = max(0, round(box.x)), max(0, round(box.y))
        window = self.pixels[top : max(0, round(box.bottom)), left : max(0, round(box.right))]
        if window.size == 0:
            return
        if opacity < 1:
            flat = np.empty_like(window)
            flat[:] = color
            window[:] = cv2.addWeighted(window, 1 - opacity, flat, opacity, 0)
        else:
            window[:] = color

    def dot(self, x: float, y: float, radius: float, color: Color) -> None:
        """Draw a small disk with a dark rim."""
        center = (round(x * (1 << _SUBPIXEL_BITS)), round(y * (1 << _SUBPIXEL_BITS)))
        for reach, tone in ((radius * 1.5, (0, 0, 0)), (radius, color)):
            size = round(reach * (1 << _SUBPIXEL_BITS))
            cv2.circle(self.pixels, center, size, tone, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def text(
        self, x: float, y: float, words: str, color: Color, size: float, *, bold: bool = False, anchor: str = "lm"
    ) -> None:
        """Add a line of text; `finish` draws it.

        Args:
            x: Horizontal position of the anchor in pixels.
            y: Vertical position of the anchor in pixels.
            words: Text.
            color: Text color.
            size: Font size in pixels.
            bold: Whether the text is bold.
            anchor: Pillow's text anchor, e.g. "lm" for left and middle.
        """
        self._texts.append(((x, y), words, color, size, bold, anchor))

    def extend_right(self, width: int, color: Color, min_height: int = 0) -> None:
        """Extend the image by `width` columns on the right, and at the bottom to at least `min_height` rows."""
        rows, columns = self.pixels.shape[:2]
        extended = np.empty((max(rows, min_height), columns + width, 3), np.uint8)
        extended[:] = color
        extended[:rows, :columns] = self.pixels
        self.pixels = extended

    def finish(self) -> NDArray[np.uint8]:
        """Draw the text and return the (H, W, 3) uint8 RGB image."""
        if not self._texts:
            return self.pixels
        image = Image.fromarray(self.pixels)
        draw = ImageDraw.Draw(image)
        for place, words, color, size, bold, anchor in self._texts:
            draw.text(place, words, fill=color, font=font(round(size), bold), anchor=anchor)
        self._texts.clear()
        self.pixels = np.array(image)
        return self.pixels


@lru_cache(maxsize=64)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu Sans, which matplotlib includes and which covers most scripts, or Pillow's default font."""
    spec = find_spec("matplotlib")  # the path only: importing matplotlib takes half a second
    if spec and spec.origin:
        file = Path(spec.origin).parent / "mpl-data/fonts/ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def text_width(words: str, size: int, bold: bool = False) -> float:
    """Return the width of a text in pixels."""
    return float(font(size, bold).getlength(words))
