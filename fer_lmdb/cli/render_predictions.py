"""Predictions as terminal output: one line per image and face, bars for the probabilities."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from fer_lmdb.cli.console import emit_line, out_console, progress_bar
from fer_lmdb.io.images import printable_path
from fer_lmdb.results import FacePrediction, FramePrediction, ImagePrediction
from fer_lmdb.runtime.signals import uninterrupted
from fer_lmdb.visualization.colors import color_of, hex_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from fer_lmdb.inference.files import VideoSummary
    from fer_lmdb.inference.timeline import Timeline

BAR_CELLS = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class ResultPrinter:
    """Print results on stdout, errors and the progress of videos on stderr.

    Attributes:
        files: Number of images and videos.
        failed: Number of those with an error.
    """

    def __init__(self, as_json: bool, top_k: int | None) -> None:
        self.files = self.failed = 0
        self._as_json, self._top_k = as_json, top_k
        self._bar: Progress | None = None

    def print(self, result: ImagePrediction | FramePrediction | VideoSummary) -> None:
        """Print one result."""
        with uninterrupted():
            self._print(result)

    def _print(self, result: ImagePrediction | FramePrediction | VideoSummary) -> None:
        if isinstance(result, FramePrediction):
            self._print_frame(result)
            return
        self.files += 1
        self.failed += result.error is not None
        if isinstance(result, ImagePrediction):
            self._print_image(result)
        else:
            self._close_bar()
            self._print_video(result)

    def _print_image(self, result: ImagePrediction) -> None:
        if self._as_json:
            emit_line(result.to_dict())
        elif result.error is not None:
            click.echo(f"Error: {result.error}", err=True)
        else:
            print_prediction(out_console(), result, self._top_k)

    def _print_frame(self, result: FramePrediction) -> None:
        if self._as_json:
            emit_line(result.to_dict())
        if self._bar is None:
            self._bar = progress_bar("frames")
            self._bar.start()
            self._bar.add_task(escape(printable_path(Path(result.path).name)), total=None, note="")
        task = self._bar.tasks[0]
        self._bar.update(task.id, advance=1, note=f"{task.speed:.0f}/s" if task.speed else "")

    def _print_video(self, result: VideoSummary) -> None:
        if result.error is not None:
            click.echo(f"Error: {result.error}", err=True)
        elif result.audio_note is not None:
            click.echo(f"Note: {printable_path(result.path)} is saved without audio: {result.audio_note}", err=True)
        if result.timeline.frames and not self._as_json:
            print_video(out_console(), result.path, result.timeline, self._top_k)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> ResultPrinter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_bar()


def print_prediction(console: Console, prediction: ImagePrediction, top_k: int | None = None) -> None:
    """Print the prediction of one image.

    Args:
        console: Console to print on, with or without colors and block characters.
        prediction: Prediction.
        top_k: Number of classes per face; None prints all.
    """
    heading = Text(printable_path(prediction.path), style="bold")
    heading.append(f"  {prediction.width} x {prediction.height}, {_count(len(prediction.faces))}", style="not bold")
    _print(console, heading)
    for number, face in enumerate(prediction.faces, 1):
        _print(console, face_line(face, number))
        for name, probability in face.ranked()[:top_k]:
            _print(console, bar_line(name, probability, _widest(face), console.options.ascii_only))


def print_video(console: Console, path: str, timeline: Timeline, top_k: int | None = None) -> None:
    """Print the summary of a video: time span and mean probabilities of each person."""
    people = timeline.most_visible()
    who = "no people" if not people else "1 person" if len(timeline.people) == 1 else f"{len(timeline.people)} people"
    frames = "1 frame" if timeline.frames == 1 else f"{timeline.frames} frames"
    heading = Text(printable_path(path), style="bold")
    heading.append(f"  {frames}, {timeline.duration_s:.1f} s, {who}", style="not bold")
    _print(console, heading)
    for number in people:
        person = timeline.people[number]
        line = Text(f"  person {number}")
        _print(console, line.append(f"  from {person.first_s:.1f} s to {person.last_s:.1f} s, mean", style="dim"))
        mean = timeline.mean(number)
        for name in sorted(mean, key=lambda name: -mean[name])[:top_k]:
            _print(console, bar_line(name, mean[name], max(map(len, mean)), console.options.ascii_only))


def face_line(face: FacePrediction, number: int) -> Text:
    """Return the line above the bars: number, expression and position of the face."""
    x, y, width, height = (round(value) for value in face.box)
    line = Text(f"  {number}  ")
    line.append(f"{face.expression} {face.probability:.0%}", style="bold")
    return line.append(f"  at {x}, {y}, {width} x {height}", style="dim")


def bar_line(name: str, probability: float, width: int, ascii_only: bool = False) -> Text:
    """Return the line of one class with its bar; the name column is `width` cells wide."""
    line = Text(f"     {name.ljust(width)}  ")
    line.append(bar(probability, ascii_only).ljust(BAR_CELLS), style=hex_of(color_of(name)))
    return line.append(f" {probability:>4.0%}")


def bar(probability: float, ascii_only: bool = False) -> str:
    """Return a bar for a probability, 0 to 1, with a resolution of an eighth of a cell."""
    if ascii_only:
        return "#" * round(probability * BAR_CELLS)
    eighths = round(probability * BAR_CELLS * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _widest(face: FacePrediction) -> int:
    return max(map(len, face.probabilities))


def _count(faces: int) -> str:
    return "no face" if faces == 0 else "1 face" if faces == 1 else f"{faces} faces"


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)
