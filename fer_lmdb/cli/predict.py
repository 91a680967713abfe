"""``fer-lmdb predict``."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from fer_lmdb import ranges
from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command, options_given
from fer_lmdb.cli.console import next_command, note, print_ensemble_note
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.shared_options import (
    align_option,
    detect_every_option,
    detector_option,
    detector_threshold_option,
    device_option,
    ensemble_temperature_option,
    ensemble_weights_option,
    executor_option,
    face_selection_options,
    force_option,
    fps_option,
    json_lines_option,
    min_face_option,
    min_probability_option,
    models_option,
    precision_option,
    tta_option,
)
from fer_lmdb.cli.types import PlotFile

EXAMPLES = """
# one photograph
fer-lmdb predict photo.jpg
# with an annotated copy
fer-lmdb predict photo.jpg --save annotated.jpg
# a folder: annotated copies and a CSV file
fer-lmdb predict holiday/ --save annotated/ --csv faces.csv
# a video: annotated copy and expressions over time
fer-lmdb predict clip.mp4 --save annotated.mp4 --plot expressions.png
# a list of files: one JSON document per line
find . -name '*.png' | fer-lmdb predict - --json
"""


@click.command("predict", cls=Command, examples=EXAMPLES)
@click.argument("paths", type=click.Path(), nargs=-1, required=True, metavar="PATH...")
@models_option()
@caffe_options("models", shared=("detector",))
@ensemble_weights_option()
@ensemble_temperature_option()
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Write annotated copies.")
@click.option("--crops", type=click.Path(path_type=Path), metavar="DIR", help="Write each face as an image.")
@click.option("--csv", "table", type=click.Path(path_type=Path), metavar="FILE", help="Write all faces as a CSV file.")
@click.option(
    "--plot", type=PlotFile(folder=True), metavar="FILE|DIR", help="Plot the expressions of a video over time."
)
@force_option()
@click.option("--top-k", type=number(ranges.TOP_K), help="Show only the K most probable classes.  [default: all]")
@min_probability_option()
@tta_option()
@align_option()
@detector_option(text="Face detector; none: each image is one face.")
@min_face_option(described="1/24 of the shorter side; videos: 1/12")
@detector_threshold_option()
@face_selection_options
@detect_every_option()
@fps_option()
@executor_option(
    "Where images are processed: locally or on a Ray cluster (RAY_ADDRESS). Videos are always processed locally."
)
@device_option()
@precision_option()
@json_lines_option
@click.pass_context
def command(context: click.Context, paths: tuple[str, ...], models: tuple[str, ...], **options: Any) -> None:
    """Recognize facial expressions in images and videos.

    PATH is an image, a video, a folder (searched recursively), a pattern, or - for
    a list of paths on stdin. Results go to stdout in the order of the files. With
    --json, each line is the document of an image or of a video frame.
    """
    names = _expand_stdin(paths)
    one_file = _is_one_file(paths)
    _check_targets(one_file, save=options["save"], plot=options["plot"])

    from fer_lmdb.cli.render_predictions import ResultPrinter
    from fer_lmdb.inference.files import predict_files
    from fer_lmdb.inference.left_out import LeftOut
    from fer_lmdb.inference.output_paths import OutputPaths
    from fer_lmdb.inference.recognizer import Recognizer
    from fer_lmdb.models.registry import DEFAULT_MODEL
    from fer_lmdb.runtime.executors import get_executor
    from fer_lmdb.runtime.signals import ended_by_signals

    recognizer = Recognizer(
        models or DEFAULT_MODEL,
        detector=options["detector"],
        min_face=options["min_face"],
        detector_threshold=options["detector_threshold"],
        max_faces=options["max_faces"],
        largest=options["largest"],
        rotate=options["rotate"],
        min_probability=options["min_probability"],
        tta=options["tta"],
        align=options["align"],
        ensemble_weights=options["ensemble_weights"],
        ensemble_temperature=options["ensemble_temperature"],
        device=options["device"],
        precision=options["precision"],
    )
    print_ensemble_note(recognizer.models, len(models))
    places = {name: options[name] for name in ("save", "crops", "table", "plot", "force")}
    outputs = OutputPaths(one_file=one_file, **places)
    left_out = LeftOut()
    results = predict_files(
        names,
        recognizer,
        outputs,
        executor=get_executor(options["executor"]),
        detect_every=options["detect_every"],
        fps=options["fps"],
        left_out=left_out,
    )
    with (
        ended_by_signals(),
        closing(results),
        ResultPrinter(options["as_json"], options["top_k"]) as printer,
    ):
        for result in results:
            printer.print(result)
    for line in left_out.to_lines():
        click.echo(line, err=True)
    if not printer.files:
        note("No paths on stdin, no results.")
    if printer.failed:
        noun = "file" if printer.files == 1 else "files"
        click.echo(f"{printer.failed} of {printer.files} {noun} could not be read.", err=True)
        context.exit(1)
    if one_file and not options["as_json"] and options["save"] is None:
        next_command("predict", paths[0], *options_given(context), "--save", _annotated_name(Path(paths[0])))


def _annotated_name(path: Path) -> str:
    """Return a file name for an annotated copy in a format that can be written."""
    from fer_lmdb.io.file_kind import file_kind
    from fer_lmdb.io.images import WRITABLE_SUFFIXES

    suffix = path.suffix.lower()
    if file_kind(path) != "image":
        return "annotated.mp4"
    return f"annotated{suffix if suffix in WRITABLE_SUFFIXES else '.png'}"


def _is_one_file(paths: tuple[str, ...]) -> bool:
    """Return whether there is exactly one input file, so that `--save` may be a file."""
    return len(paths) == 1 and paths[0] != "-" and not _is_folder(paths[0]) and not _is_pattern(paths[0])


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # an over-long name or a NUL byte, reported when it is read or written
        return False


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _check_targets(one_file: bool, **targets: Path | None) -> None:
    """Raise UsageError for an output file if a folder is required."""
    from fer_lmdb.io.file_kind import VIDEO_SUFFIXES
    from fer_lmdb.io.file_names import printable_path
    from fer_lmdb.io.images import IMAGE_SUFFIXES

    for option, target in targets.items():
        if target is None or one_file or _is_folder(target):
            continue
        if target.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            name = printable_path(target)
            raise click.UsageError(f"--{option} {name} is a file, but there may be several results; pass a folder")


def _expand_stdin(paths: tuple[str, ...]) -> Iterator[str]:
    """Return the paths; - is replaced by the list of paths on stdin, whose beginning is checked at once."""
    if "-" not in paths:
        return iter(paths)
    from fer_lmdb.errors import SourceError
    from fer_lmdb.io.path_list import read_path_list

    if sys.stdin is None:
        raise SourceError("stdin is closed; expected a list of paths")
    listed = read_path_list(sys.stdin.buffer)
    return (name for path in paths for name in (listed if path == "-" else (path,)))
