"""One colour per expression, everywhere in the product; told apart with any colour vision.

The hues are those of Okabe & Ito, chosen for red-green and blue-yellow blindness; FER2013's and FER+'s words for
the same expression share one.
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
    """Return the colour of an expression; sky blue for a name that no shipped label scheme has."""
    return COLORS.get(expression, _SKY)


def text_color_on(color: Color) -> Color:
    """Return black or white, whichever reads better on a colour (WCAG relative luminance)."""

    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    luminance = sum(weight * linear(value) for weight, value in zip((0.2126, 0.7152, 0.0722), color, strict=True))
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def hex_of(color: Color) -> str:
    """Return a colour as `#rrggbb`, for terminals, plots and pages."""
    return "#{:02x}{:02x}{:02x}".format(*color)
