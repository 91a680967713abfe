"""HTML of a prediction on the web page: the image with boxes, and a bar chart per face.

The HTML does not contain the image. The browser already has it and sets it as the source of the empty `<img>`, so the
image is sent only once and no response contains it.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fer_lmdb.visualization.colors import color_of, hex_of, text_color_on

EMPTY = '<p class="fer-empty">The image with its faces appears here.</p>'
RIGHT_HALF = 0.5
"""Boxes that begin to the right of this fraction of the width have their label aligned to the right edge."""
TOP_MARGIN = 0.08
"""Boxes that begin above this fraction of the height have their label below."""


def render(answer: dict[str, Any]) -> str:
    """Return the image frame, boxes and bars.

    Args:
        answer: width, height and faces, as in the output of `predict --json`.
    """
    faces = answer["faces"]
    boxes = "".join(_box(face, number, answer) for number, face in _numbered(faces))
    cards = "".join(_card(face, number) for number, face in _numbered(faces))
    many = " fer-many" if len(faces) > 1 else ""
    return (
        f'<p class="fer-count" role="status">{_count(faces)}</p>'
        f'<figure class="fer-image{many}"><img data-image alt="Your image">{boxes}</figure>'
        f'<div class="fer-faces">{cards}</div>'
    )


def render_error(message: str) -> str:
    """Return an error message for the page."""
    return f'<p class="fer-error" role="alert">{escape(message)}</p>'


def _count(faces: list[dict[str, Any]]) -> str:
    if not faces:
        return "No face found. Small, turned or covered faces are often missed."
    return "1 face" if len(faces) == 1 else f"{len(faces)} faces"


def _numbered(faces: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Pair faces with the numbers shown on the image and the cards; a single face has none."""
    return [(f"{number} " if len(faces) > 1 else "", face) for number, face in enumerate(faces, start=1)]


def _best(face: dict[str, Any]) -> tuple[str, float]:
    name = max(face["probabilities"], key=face["probabilities"].__getitem__)
    return name, face["probabilities"][name]


def _box(face: dict[str, Any], number: str, answer: dict[str, Any]) -> str:
    x, y, width, height = face["box"]
    name, probability = _best(face)
    color = color_of(name)
    position = ";".join(
        f"{side}:{100 * value:.3f}%"
        for side, value in {
            "left": x / answer["width"],
            "top": y / answer["height"],
            "width": width / answer["width"],
            "height": height / answer["height"],
        }.items()
    )
    right = " fer-right" if x > RIGHT_HALF * answer["width"] else ""
    below = " fer-below" if y < TOP_MARGIN * answer["height"] else ""
    return (
        f'<div class="fer-box{right}{below}" style="{position};'
        f'--fer:{hex_of(color)};--fer-ink:{hex_of(text_color_on(color))}">'
        f"<span>{number}<b>{escape(name)} {probability:.0%}</b></span></div>"
    )


def _card(face: dict[str, Any], number: str) -> str:
    name, probability = _best(face)
    rows = "".join(_bar(label, value, label == name) for label, value in face["probabilities"].items())
    head = f"<h3>{number}{escape(name)} <small>{probability:.0%}</small></h3>"
    return f'<section class="fer-card">{head}<dl>{rows}</dl></section>'


def _bar(label: str, probability: float, best: bool) -> str:
    color = hex_of(color_of(label))
    mark = ' class="fer-best"' if best else ""
    return (
        f"<div{mark}><dt>{escape(label)}</dt>"
        f'<dd><i style="width:{100 * probability:.2f}%;background:{color}"></i></dd>'
        f"<dd>{probability:.0%}</dd></div>"
    )
