"""``fer-lmdb predict``."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.command import Command, options_given
from fer_lmdb.cli.console import emit, next_command, note, out_console, print_ensemble_note, progress_bar
from fer_lmdb.cli.types import DETECTOR, DEVICE, MODEL, NumberList

if TYPE_CHECKING:
    from fer_lmdb.inference import ImageResult, InputFile
    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.inference.result_writers import ResultWriters


EXAMPLES = """
# one photograph
fer-lmdb predict photo.jpg
# with an annotated copy
fer-lmdb predict photo.jpg --save annotated.jpg
# a folder: annotated copies and a table
fer-lmdb predict holiday/ --save annotated/ --csv faces.csv
# a video, and how the expressions went
fer-lmdb predict clip.mp4 --save annotated.mp4 --plot expressions.png
# a list of files, a line of JSON for each
find . -name '*.png' | fer-lmdb predict - --json
"""


@click.command("predict", cls=Command, examples=EXAMPLES)
@click.argument("paths", type=click.Path(), nargs=-1, required=True, metavar="PATH...")
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
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Write annotated copies.")
@click.option("--crops", type=click.Path(path_type=Path), metavar="DIR", help="Write each face as an image.")
@click.option("--csv", "table", type=click.Path(path_type=Path), metavar="FILE", help="Write all faces as a CSV file.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Plot the expressions of a video over time."
)
@click.option("--top-k", type=click.IntRange(1), help="Show only the K most probable classes.  [default: all]")
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    default=0.0,
    help='Label faces with a lower top probability "uncertain".  [default: 0]',
)
@click.option(
    "--tta",
    type=click.Choice(["1", "2", "4", "10"]),
    default="1",
    show_default=True,
    help="TTA views averaged per face. 2: zoom and flip; 4: rotation as well; 10: Caffe's crops.",
)
@click.option(
    "--detector", type=DETECTOR, help="Face detector; none treats each image as one face.  [default: the model's]"
)
@click.option(
    "--min-face",
    type=click.FloatRange(1),
    help="Minimum face size in pixels.  [default: 1/24 of the shorter side; videos: 1/12]",
)
@click.option(
    "--detect-every",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Videos: run the detector on every K-th frame and track faces in between.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where images are processed: locally or on a Ray cluster (RAY_ADDRESS). Videos are always processed locally.",
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option(
    "--precision",
    type=click.Choice(["auto", "bfloat16", "float32"]),
    default="float32",
    show_default=True,
    help="Compute dtype. auto: bfloat16 if the device supports it natively.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout.")
@click.pass_context
def command(context: click.Context, paths: tuple[str, ...], models: tuple[str, ...], **options: Any) -> None:
    """Find faces and tell their expressions.

    PATH is a picture, a video, a folder (searched through), a pattern, or - for a
    list of paths on stdin. Results go to stdout in the order of the files; with
    --json one document per line: a picture, or a frame of a video.
    """
    one_file = _names_one_file(paths)
    _check_targets(one_file, save=options["save"], plot=options["plot"])

    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.models.model import DEFAULT_MODEL

    recognizer = Recognizer(
        models or DEFAULT_MODEL,
        detector=options["detector"],
        min_face=options["min_face"],
        min_probability=options["min_probability"],
        tta=int(options["tta"]),
        ensemble_weights=options["ensemble_weights"],
        device=options["device"],
        precision=options["precision"],
    )
    print_ensemble_note(recognizer.models, len(models))
    files, failed = _predict(recognizer, paths, one_file, options)
    if not files:
        note("No path came on stdin; nothing was looked at.")
    if failed:
        click.echo(f"{failed} of {files} could not be read.", err=True)
        context.exit(1)
    if one_file and not options["as_json"] and options["save"] is None:
        next_command("predict", paths[0], *options_given(context), "--save", _annotated(Path(paths[0])))


def _annotated(path: Path) -> str:
    """Return a name for an annotated copy that can be written: not every format that is read can be."""
    from fer_lmdb.inference.inputs import VIDEO_SUFFIXES
    from fer_lmdb.io.images import WRITABLE_SUFFIXES

    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "annotated.mp4"
    return f"annotated{suffix if suffix in WRITABLE_SUFFIXES else '.png'}"


def _predict(
    recognizer: Recognizer, paths: tuple[str, ...], one_file: bool, options: dict[str, Any]
) -> tuple[int, int]:
    """Predict all files and hand every result on; return how many files there were and how many failed."""
    from fer_lmdb.inference import find_files, predict_images
    from fer_lmdb.inference.overwrite_guard import OverwriteGuard, any_exist
    from fer_lmdb.inference.result_writers import ResultWriters
    from fer_lmdb.runtime.executors import get_executor

    targets = {name: options[name] for name in ("save", "crops", "table", "plot")}
    places = [place for place in targets.values() if place]
    leave_out = [folder for folder in (options["save"], options["crops"]) if folder]
    names: Iterable[str] = _expand_stdin(paths)
    originals = OverwriteGuard()
    if any_exist(places):  # only then are all names needed beforehand
        names = list(names)
        originals = OverwriteGuard(find_files(names, leave_out), places)
    files = failed = 0
    engine = get_executor(options["executor"])
    with ResultWriters(recognizer.classes, one_file=one_file, guard=originals, **targets) as results:
        found = find_files(names, leave_out)
        for are_videos, group in groupby(found, key=lambda one: one.is_video and one.error is None):
            if are_videos:
                errors = (_predict_video(one, recognizer, results, options) for one in group)
            else:
                errors = (_show(seen, results, options) for seen in predict_images(group, recognizer, engine))
            for error in errors:
                files += 1
                failed += error is not None
    return files, failed


def _show(seen: ImageResult, results: ResultWriters, options: dict[str, Any]) -> str | None:
    """Hand one picture's result on; return its error."""
    from fer_lmdb.cli.render_predictions import print_prediction

    results.add(seen)
    if options["as_json"]:
        emit(seen.prediction.to_dict(), indent=None)
    elif seen.prediction.error is not None:
        click.echo(f"Error: {seen.prediction.error}", err=True)
    else:
        print_prediction(out_console(), seen.prediction, options["top_k"])
    return seen.prediction.error


def _predict_video(
    found: InputFile, recognizer: Recognizer, results: ResultWriters, options: dict[str, Any]
) -> str | None:
    """Recognise a video frame by frame and hand the frames on; return its error."""
    from fer_lmdb.cli.render_predictions import print_video
    from fer_lmdb.inference.video import predict_video

    error = None
    with results.video(found) as video, progress_bar("frames") as bar:
        task = bar.add_task(found.path.name, total=None, note="")
        for seen in predict_video(found.path, recognizer, options["detect_every"]):
            video.add(seen)
            error = seen.prediction.error
            if options["as_json"]:
                emit(seen.prediction.to_dict(), indent=None)
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, note=f"{speed:.0f}/s" if speed else "")
    if error is not None:
        click.echo(f"Error: {error}", err=True)
    elif video.audio_note is not None:
        click.echo(f"Note: {found.path} is saved without sound: {video.audio_note}", err=True)
    if video.timeline.frames and not options["as_json"]:
        print_video(out_console(), str(found.path), video.timeline, options["top_k"])
    return error


def _names_one_file(paths: tuple[str, ...]) -> bool:
    """Whether the command was given exactly one file, so that `--save` may name one, too."""
    return len(paths) == 1 and paths[0] != "-" and not Path(paths[0]).is_dir() and not _is_pattern(paths[0])


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _check_targets(one_file: bool, **targets: Path | None) -> None:
    """Refuse a file's name where a folder is needed."""
    from fer_lmdb.inference.inputs import VIDEO_SUFFIXES
    from fer_lmdb.io.images import IMAGE_SUFFIXES

    for option, target in targets.items():
        is_file = target and target.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES and not target.is_dir()
        if is_file and not one_file:
            raise click.UsageError(f"--{option} {target} names one file, but there may be several; give a folder")


def _expand_stdin(paths: tuple[str, ...]) -> Iterator[str]:
    """Yield the paths; in the place of - those that stand on stdin, one a line or parted by NUL."""
    for path in paths:
        if path != "-":
            yield path
            continue
        for line in sys.stdin.buffer:
            for name in line.rstrip(b"\r\n").split(b"\0"):
                if name:
                    yield os.fsdecode(name)
