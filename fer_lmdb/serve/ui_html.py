"""What the page shows of an answer, as HTML: the picture with boxes and a bar chart per face.

The picture itself is not part of it: the browser has it already and puts it into the empty `<img>`. So it travels
once, and what the server hands out holds no picture at all.
"""

from __future__ import annotations

from html import escape
from typing import Any

from fer_lmdb.visualization.colors import color_of, hex_of, text_color_on

EMPTY = '<p class="fer-empty">The picture with its faces appears here.</p>'


def render(answer: dict[str, Any]) -> str:
    """Return the picture's frame, boxes and bars.

    Args:
        answer: width, height and faces as `predict --json` has them.
    """
    faces = answer["faces"]
    boxes = "".join(_box(face, number, answer) for number, face in _numbered(faces))
    cards = "".join(_card(face, number) for number, face in _numbered(faces))
    many = " fer-many" if len(faces) > 1 else ""
    return (
        f'<p class="fer-count" role="status">{_count(faces)}</p>'
        f'<figure class="fer-picture{many}"><img data-picture alt="Your picture">{boxes}</figure>'
        f'<div class="fer-faces">{cards}</div>'
    )


def render_error(message: str) -> str:
    """Return a refusal as the page shows it."""
    return f'<p class="fer-error" role="alert">{escape(message)}</p>'


def _count(faces: list[dict[str, Any]]) -> str:
    if not faces:
        return "No face found. Faces that are small, turned away or covered are often missed."
    return "1 face" if len(faces) == 1 else f"{len(faces)} faces"


def _numbered(faces: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Pair faces with their numbers, which stand on the picture and on the cards; a single face needs none."""
    return [(f"{number} " if len(faces) > 1 else "", face) for number, face in enumerate(faces, start=1)]


def _best(face: dict[str, Any]) -> tuple[str, float]:
    name = max(face["probabilities"], key=face["probabilities"].__getitem__)
    return name, face["probabilities"][name]


def _box(face: dict[str, Any], number: str, answer: dict[str, Any]) -> str:
    x, y, width, height = face["box"]
    name, share = _best(face)
    color = color_of(name)
    place = ";".join(
        f"{side}:{100 * value:.3f}%"
        for side, value in {
            "left": x / answer["width"],
            "top": y / answer["height"],
            "width": width / answer["width"],
            "height": height / answer["height"],
        }.items()
    )
    side = " fer-right" if x > answer["width"] / 2 else ""
    below = " fer-below" if y < 0.08 * answer["height"] else ""
    return (
        f'<div class="fer-box{side}{below}" style="{place};'
        f'--fer:{hex_of(color)};--fer-ink:{hex_of(text_color_on(color))}">'
        f"<span>{number}<b>{escape(name)} {share:.0%}</b></span></div>"
    )


def _card(face: dict[str, Any], number: str) -> str:
    name, share = _best(face)
    rows = "".join(_bar(label, value, label == name) for label, value in face["probabilities"].items())
    head = f"<h3>{number}{escape(name)} <small>{share:.0%}</small></h3>"
    return f'<section class="fer-card">{head}<dl>{rows}</dl></section>'


def _bar(label: str, share: float, best: bool) -> str:
    color = hex_of(color_of(label))
    mark = ' class="fer-best"' if best else ""
    return (
        f'<div{mark}><dt>{escape(label)}</dt><dd><i style="width:{100 * share:.2f}%;background:{color}"></i></dd>'
        f"<dd>{share:.0%}</dd></div>"
    )
