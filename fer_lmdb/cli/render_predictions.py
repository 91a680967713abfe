"""Predictions as text for a terminal: one line per picture and face, bars for the probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from fer_lmdb.io.images import printable_path
from fer_lmdb.results import FacePrediction, ImagePrediction
from fer_lmdb.visualization.colors import color_of, hex_of

if TYPE_CHECKING:
    from fer_lmdb.inference.timeline import Timeline

BAR_CELLS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def print_prediction(console: Console, prediction: ImagePrediction, top: int | None = None) -> None:
    """Print one picture's result.

    Args:
        console: where to; it knows whether there are colours and block characters.
        prediction: the result.
        top: how many classes to show per face; None for all.
    """
    heading = Text(printable_path(prediction.path), style="bold")
    heading.append(f"  {prediction.width} x {prediction.height}, {_count(len(prediction.faces))}", style="not bold")
    _print(console, heading)
    for number, face in enumerate(prediction.faces, 1):
        _print(console, face_line(face, number))
        for name, share in face.ranked()[:top]:
            _print(console, bar_line(name, share, _widest(face), console.options.ascii_only))


def print_video(console: Console, path: str, timeline: Timeline, top: int | None = None) -> None:
    """Print the summary of a video: who was seen when, with mean probabilities."""
    people = timeline.most_visible()
    who = "nobody" if not people else "1 person" if len(timeline.people) == 1 else f"{len(timeline.people)} people"
    heading = Text(printable_path(path), style="bold")
    heading.append(f"  {timeline.frames} frames, {timeline.duration_s:.1f} s, {who}", style="not bold")
    _print(console, heading)
    for number in people:
        person = timeline.people[number]
        line = Text(f"  person {number}")
        _print(console, line.append(f"  from {person.first_s:.1f} s to {person.last_s:.1f} s, on average", style="dim"))
        mean = timeline.mean(number)
        for name in sorted(mean, key=lambda name: -mean[name])[:top]:
            _print(console, bar_line(name, mean[name], max(map(len, mean)), console.options.ascii_only))


def face_line(face: FacePrediction, number: int) -> Text:
    """Return the line above the bars: number, expression, where the face is."""
    x, y, width, height = (round(value) for value in face.box)
    line = Text(f"  {number}  ")
    line.append(f"{face.expression} {face.probability:.0%}", style="bold")
    return line.append(f"  at {x}, {y}, {width} x {height}", style="dim")


def bar_line(name: str, share: float, width: int, ascii_only: bool = False) -> Text:
    """Return one class with its bar; the name's column is `width` cells wide."""
    line = Text(f"     {name.ljust(width)}  ")
    line.append(bar(share, ascii_only).ljust(BAR_CELLS), style=hex_of(color_of(name)))
    return line.append(f" {share:>4.0%}")


def bar(share: float, ascii_only: bool = False) -> str:
    """Return a bar for a share of 0-1, to an eighth of a cell."""
    if ascii_only:
        return "#" * round(share * BAR_CELLS)
    eighths = round(share * BAR_CELLS * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _widest(face: FacePrediction) -> int:
    return max(map(len, face.probabilities))


def _count(faces: int) -> str:
    return "no face" if faces == 0 else "1 face" if faces == 1 else f"{faces} faces"


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)
