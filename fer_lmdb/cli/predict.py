"""``fer-lmdb predict``."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.output import emit, json_option, next_step, out_console

if TYPE_CHECKING:
    from fer_lmdb.predict import Seen
    from fer_lmdb.recognizer import Recognizer


@click.command("predict")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model", "models", multiple=True, help="Shipped model, model file or run; give several for an ensemble."
)
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE|DIR", help="Write annotated copies.")
@click.option("--crops", type=click.Path(path_type=Path), metavar="DIR", help="Write every face as a picture.")
@click.option("--csv", "table", type=click.Path(path_type=Path), metavar="FILE", help="Write a table of all faces.")
@click.option("--top", type=click.IntRange(1), help="Show the K most probable classes only.  [default: all]")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    help='Call a face "uncertain" whose best probability is lower.  [default: 0]',
)
@click.option(
    "--tta", type=click.Choice(["1", "2", "10"]), default="1", show_default=True, help="Views per face, averaged."
)
@click.option("--detector", help="Face detector; none takes each picture as one face.  [default: the model's]")
@click.option(
    "--min-face", type=click.FloatRange(1), help="Smallest face in pixels.  [default: 1/32 of the shorter side]"
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, ...")
@json_option
@click.pass_context
def command(context: click.Context, paths: tuple[str, ...], models: tuple[str, ...], **options: Any) -> None:
    """Find faces and tell their expressions.

    PATH is a picture, a folder (searched through), a pattern, or - for a list of
    paths on stdin. Results go to stdout in the order of the files; with --json
    one document per line and picture.

    \b
    fer-lmdb predict photo.jpg
    fer-lmdb predict photo.jpg --save annotated.jpg
    fer-lmdb predict holiday/ --save annotated/ --csv faces.csv
    find . -name '*.png' | fer-lmdb predict - --json
    """
    one_file = _names_one_file(paths)
    _check_save(options["save"], one_file)

    from fer_lmdb.models import DEFAULT_MODEL
    from fer_lmdb.recognizer import Recognizer

    recognizer = Recognizer(
        models or DEFAULT_MODEL,
        detector=options["detector"],
        min_face=options["min_face"],
        threshold=options["threshold"],
        tta=int(options["tta"]),
        device=options["device"],
    )
    files, failed = _predict(recognizer, paths, one_file, options)
    if failed:
        click.echo(f"{failed} of {files} could not be read.", err=True)
        context.exit(1)
    if one_file and not options["as_json"]:
        _say_next(paths[0], options["save"])


def _predict(
    recognizer: Recognizer, paths: tuple[str, ...], one_file: bool, options: dict[str, Any]
) -> tuple[int, int]:
    """Predict all files and hand every result on; return how many files there were and how many failed."""
    from fer_lmdb.predict import find_files, predict_pictures
    from fer_lmdb.predict.outputs import AnnotatedCopies, Crops, Table

    save, crops = options["save"], options["crops"]
    copies = AnnotatedCopies(save, one_file and save.suffix != "" and not save.is_dir()) if save else None
    faces = Crops(crops) if crops else None
    written = [folder for folder in (save, crops) if folder]
    files = failed = 0
    with ExitStack() as stack:
        table = stack.enter_context(Table(options["table"], recognizer.classes)) if options["table"] else None
        for seen in predict_pictures(find_files(_expand_stdin(paths), written), recognizer):
            files += 1
            failed += seen.prediction.error is not None
            if copies:
                copies.add(seen)
            if faces:
                faces.add(seen)
            if table:
                table.add(seen.prediction.path, seen.prediction.faces, seen.prediction.error)
            _show(seen, options["as_json"], options["top"])
    return files, failed


def _show(seen: Seen, as_json: bool, top: int | None) -> None:
    from fer_lmdb.cli.bars import print_prediction

    if as_json:
        emit(seen.prediction.to_dict(), indent=None)
    elif seen.prediction.error is not None:
        click.echo(f"Error: {seen.prediction.error}", err=True)
    else:
        print_prediction(out_console(), seen.prediction, top)


def _names_one_file(paths: tuple[str, ...]) -> bool:
    """Whether the command was given exactly one file, so that `--save` may name one, too."""
    return len(paths) == 1 and paths[0] != "-" and not Path(paths[0]).is_dir() and not _is_pattern(paths[0])


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _check_save(save: Path | None, one_file: bool) -> None:
    from fer_lmdb.pictures import WRITABLE_SUFFIXES

    if save and not one_file and save.suffix.lower() in WRITABLE_SUFFIXES and not save.is_dir():
        raise click.UsageError(f"--save {save} names one picture, but there may be several; give a folder")


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


def _say_next(path: str, save: Path | None) -> None:
    if save is None:
        next_step(f"fer-lmdb predict {path} --save annotated.png")
