"""``fer-lmdb watch``."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, err_console, print_ensemble_note, print_next_step
from fer_lmdb.cli.types import DETECTOR, DEVICE, MODEL, NumberList

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fer_lmdb.inference.live import DisplayWindow
    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.io.video_writer import VideoWriter
    from fer_lmdb.results import FramePrediction


EXAMPLES = """
# the first camera
fer-lmdb watch
# a network camera
fer-lmdb watch rtsp://camera.local/stream
# no screen: write what would be shown
fer-lmdb watch clip.mp4 --no-window --save annotated.mp4
# ten seconds as JSON, a line per frame
fer-lmdb watch 0 --no-window --json --duration 10
"""


@click.command("watch", cls=Command, examples=EXAMPLES)
@click.argument("source", default="0", metavar="[CAMERA|VIDEO]")
@click.option(
    "--model",
    "models",
    type=MODEL,
    multiple=True,
    help="Pretrained model, model file or run. Several models, or a folder of models, form an ensemble.",
)
@click.option(
    "--ensemble-weights",
    type=NumberList(),
    metavar="W1,W2,...",
    help="Weight of each model of an ensemble.  [default: equal]",
)
@click.option("--window/--no-window", default=True, show_default=True, help="Show the annotated frames in a window.")
@click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the annotated video."
)
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Stop after this many seconds.")
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    default=0.0,
    help='Label faces with a lower top probability "uncertain".  [default: 0]',
)
@click.option(
    "--detect-every",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Run the detector on every K-th frame and track faces in between.",
)
@click.option("--detector", type=DETECTOR, help="Face detector.  [default: the model's]")
@click.option(
    "--min-face", type=click.FloatRange(1), help="Minimum face size in pixels.  [default: 1/12 of the shorter side]"
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
def command(source: str, models: tuple[str, ...], **options: Any) -> None:
    """Recognise expressions live: boxes, bars and frame rate in a window.

    CAMERA is a camera's number or the address of a stream; a VIDEO file plays at
    its own pace. End with q, Esc or Ctrl-C; a file given with --save is then
    complete. With --json every frame is a line on stdout.
    """
    if not (options["window"] or options["save"] or options["as_json"]):
        raise click.UsageError("--no-window without --save or --json would do nothing; give one of them")

    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.models.model import DEFAULT_MODEL

    recognizer = Recognizer(
        models or DEFAULT_MODEL,
        detector=options["detector"],
        min_face=options["min_face"],
        min_probability=options["min_probability"],
        ensemble_weights=options["ensemble_weights"],
        device=options["device"],
    )
    print_ensemble_note(recognizer.models, len(models))
    frames, seconds = _watch(source, recognizer, options)
    rate = f", {frames / seconds:.1f} a second" if seconds else ""
    err_console().print(f"{frames} frames{rate}", highlight=False)
    if options["save"] and frames:
        print_next_step(f"play {options['save']}")


def _watch(source: str, recognizer: Recognizer, options: dict[str, Any]) -> tuple[int, float]:
    """Show and write frames until the source, the user or the time ends it; return their number and the time taken."""
    from fer_lmdb.errors import ImageError
    from fer_lmdb.inference.live import DisplayWindow, watch
    from fer_lmdb.io.video_writer import VideoWriter

    save = options["save"]
    if save and save.exists() and Path(source).exists() and save.samefile(source):
        raise ImageError(f"{save}: this would overwrite the original; save to another name")
    frames, started = 0, time.monotonic()
    broken: ImageError | None = None
    with ExitStack() as stack:
        window = stack.enter_context(DisplayWindow()) if options["window"] else None
        writer = stack.enter_context(VideoWriter(options["save"])) if options["save"] else None
        watching = watch(source, recognizer, options["detect_every"], real_time=options["window"])
        try:
            for prediction, image in stack.enter_context(closing(watching)):
                frames += 1
                go_on = _take(prediction, image, window, writer, options["as_json"])
                if not go_on or _is_over(started, options["duration"]):
                    break
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
        except ImageError as error:  # what was recorded before is kept
            broken = error
    if broken:
        raise broken
    return frames, time.monotonic() - started


def _take(
    prediction: FramePrediction,
    image: NDArray[np.uint8],
    window: DisplayWindow | None,
    writer: VideoWriter | None,
    as_json: bool,
) -> bool:
    """Hand one frame on to wherever it is wanted; return whether the user wants to go on."""
    from fer_lmdb.visualization.annotate import annotate

    if as_json:
        emit(prediction.to_dict(), indent=None)
    if writer:
        writer.add(annotate(image, prediction.faces, same_size=True), prediction.time_s)
    return window.show(image, prediction.faces) if window else True


def _is_over(started: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - started >= seconds
