"""``fer-lmdb watch``."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb import ranges
from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit_line, err_console, print_ensemble_note, print_next_step
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.shared_options import (
    align_option,
    detect_every_option,
    detector_option,
    detector_threshold_option,
    device_option,
    ensemble_temperature_option,
    ensemble_weights_option,
    face_selection_options,
    force_option,
    fps_option,
    json_lines_option,
    min_face_option,
    min_probability_option,
    models_option,
)

if TYPE_CHECKING:
    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.inference.writers import CsvWriter
    from fer_lmdb.io.video_writer import VideoWriter
    from fer_lmdb.results import FramePrediction
    from fer_lmdb.visualization.window import DisplayWindow


EXAMPLES = """
# the first camera
fer-lmdb watch
# a network camera
fer-lmdb watch rtsp://camera.local/stream
# without a display: write the annotated video
fer-lmdb watch clip.mp4 --no-window --save annotated.mp4
# a table of all faces
fer-lmdb watch 0 --csv faces.csv
# ten seconds as JSON, one line per frame
fer-lmdb watch 0 --no-window --json --duration 10
"""


@click.command("watch", cls=Command, examples=EXAMPLES)
@click.argument("source", default="0", metavar="[CAMERA|VIDEO]")
@models_option()
@caffe_options("models", shared=("detector",))
@ensemble_weights_option()
@ensemble_temperature_option()
@click.option("--window/--no-window", default=True, show_default=True, help="Show the annotated frames in a window.")
@click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the annotated video."
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write all faces as a CSV file.",
)
@force_option()
@click.option("--duration", type=number(ranges.POSITIVE), help="Stop after this many seconds.")
@min_probability_option()
@align_option()
@detect_every_option("Run the detector on every K-th frame, track in between.")
@fps_option()
@detector_option()
@min_face_option(described="1/12 of the shorter side")
@detector_threshold_option()
@face_selection_options
@device_option()
@json_lines_option
def command(source: str, models: tuple[str, ...], **options: Any) -> None:
    """Recognize expressions live: boxes, bars and frame rate in a window.

    CAMERA is a camera index or the URL of a stream. A VIDEO file plays at its own
    frame rate. Press q, Esc or Ctrl-C to stop; the files are complete then.
    With --json, each frame is one line on stdout.
    """
    if not (options["window"] or options["save"] or options["table"] or options["as_json"]):
        raise click.UsageError("--no-window without --save, --csv or --json has no output; add one of them")

    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.models.registry import DEFAULT_MODEL

    recognizer = Recognizer(
        models or DEFAULT_MODEL,
        detector=options["detector"],
        min_face=options["min_face"],
        detector_threshold=options["detector_threshold"],
        max_faces=options["max_faces"],
        largest=options["largest"],
        rotate=options["rotate"],
        min_probability=options["min_probability"],
        align=options["align"],
        ensemble_weights=options["ensemble_weights"],
        ensemble_temperature=options["ensemble_temperature"],
        device=options["device"],
    )
    print_ensemble_note(recognizer.models, len(models))
    frames, seconds = _watch(source, recognizer, options)
    rate = f", {frames / seconds:.1f} frames/s" if seconds else ""
    err_console().print(f"{frames} {'frame' if frames == 1 else 'frames'}{rate}", highlight=False)
    if options["save"] and frames:
        print_next_step(f"play {options['save']}")


def _watch(source: str, recognizer: Recognizer, options: dict[str, Any]) -> tuple[int, float]:
    """Show and write frames until the source ends, the user stops, or the time is up; return frames and seconds."""
    from fer_lmdb.inference.live import predict_camera
    from fer_lmdb.inference.writers import CsvWriter
    from fer_lmdb.io.container import local_path
    from fer_lmdb.io.outputs import OutputGuard
    from fer_lmdb.io.video_writer import VideoWriter
    from fer_lmdb.models.registry import resolve_model
    from fer_lmdb.runtime.signals import ended_by_signals, uninterrupted
    from fer_lmdb.visualization.window import DisplayWindow

    save, table = options["save"], options["table"]
    file = local_path(source)
    guard = OutputGuard([*map(resolve_model, recognizer.models), *([file] if file else [])], force=options["force"])
    for path, suffix in ((save, None), (table, ".csv")):
        if path:
            guard.check(path, suffix)
    frames, started = 0, time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        window = stack.enter_context(DisplayWindow()) if options["window"] else None
        writer = stack.enter_context(VideoWriter(save)) if save else None
        rows = stack.enter_context(closing(CsvWriter(table, recognizer.classes))) if table else None
        predictions = predict_camera(
            source, recognizer, detect_every=options["detect_every"], fps=options["fps"], real_time=options["window"]
        )
        try:
            for prediction in stack.enter_context(closing(predictions)):
                frames += 1
                with uninterrupted():
                    is_open = _output(prediction, window, writer, rows, options["as_json"])
                if not is_open or _is_over(started, options["duration"]):
                    break
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
    return frames, time.monotonic() - started


def _output(
    prediction: FramePrediction,
    window: DisplayWindow | None,
    writer: VideoWriter | None,
    rows: CsvWriter | None,
    as_json: bool,
) -> bool:
    """Print, write and show one frame; return False if the user closed the window."""
    from fer_lmdb.visualization.annotate import annotate

    if as_json:
        emit_line(prediction.to_dict())
    if rows:
        rows.add(prediction)
    if prediction.image is None:
        return True
    if writer:
        writer.add(annotate(prediction.image, prediction.faces, same_size=True), prediction.time_s)
    return window.show(prediction.image, prediction.faces) if window else True


def _is_over(started: float, duration: float | None) -> bool:
    return duration is not None and time.monotonic() - started >= duration
