"""One color per expression, distinguishable with any color vision.

The palette is that of Okabe & Ito, designed for color blindness. FER2013's and FER+'s names of the same expression have
the same color.
"""

from __future__ import annotations

Color = tuple[int, int, int]
"""Red, green, blue, 0-255."""

_VERMILLION: Color = (213, 94, 0)
_GREEN: Color = (0, 158, 115)
_PURPLE: Color = (204, 121, 167)
_YELLOW: Color = (240, 228, 66)
_BLUE: Color = (0, 114, 178)
_ORANGE: Color = (230, 159, 0)
_SKY: Color = (86, 180, 233)
_GRAY: Color = (187, 187, 187)
_DARK: Color = (90, 90, 90)

COLORS: dict[str, Color] = {
    "angry": _VERMILLION,
    "anger": _VERMILLION,
    "disgust": _GREEN,
    "fear": _PURPLE,
    "happy": _YELLOW,
    "happiness": _YELLOW,
    "sad": _BLUE,
    "sadness": _BLUE,
    "surprise": _ORANGE,
    "neutral": _GRAY,
    "contempt": _SKY,
    "uncertain": _DARK,
}


def color_of(expression: str) -> Color:
    """Return the color of an expression; sky blue for a name of another label scheme."""
    return COLORS.get(expression, _SKY)


def text_color_on(color: Color) -> Color:
    """Return black or white, the one with more contrast to a color (WCAG relative luminance)."""

    def linear(value: int) -> float:
        scaled = value / 255
        return scaled / 12.92 if scaled <= 0.04045 else float(((scaled + 0.055) / 1.055) ** 2.4)

    luminance = sum(weight * linear(value) for weight, value in zip((0.2126, 0.7152, 0.0722), color, strict=True))
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def hex_of(color: Color) -> str:
    """Return a color as `#rrggbb`, for terminals, plots and pages."""
    return "#{:02x}{:02x}{:02x}".format(*color)
