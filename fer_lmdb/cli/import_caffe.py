"""``fer-lmdb import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_lmdb.choices import ALIGNMENTS
from fer_lmdb.cli.caffe_options import input_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, next_command, note
from fer_lmdb.cli.shared_options import force_option, json_option
from fer_lmdb.cli.types import DETECTOR

EXAMPLES = """
# a folder with one deploy prototxt and one caffemodel
fer-lmdb import caffe/ --labels fer2013 --out mine.safetensors
# two files
fer-lmdb import net.prototxt --caffemodel net.caffemodel --out mine.safetensors
"""


def declare_input_options(function: Any) -> Any:
    """Declare the options about a net's input and output."""
    for declare in reversed(input_options()):
        function = declare(function)
    return function


@click.command("import", cls=Command, examples=EXAMPLES)
@click.argument("deploy", type=click.Path(path_type=Path))
@click.option("--caffemodel", type=click.Path(path_type=Path), metavar="FILE", help="Weights.  [default: the folder's]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Model file to write (.safetensors).")
@declare_input_options
@click.option("--detector", type=DETECTOR, help="Face detector; none: each image is one face.  [default: mtcnn]")
@click.option("--align", type=click.Choice(ALIGNMENTS), help="Crop of each face.  [default: landmarks]")
@force_option()
@json_option
def command(deploy: Path, caffemodel: Path | None, out: Path, force: bool, as_json: bool, **options: Any) -> None:
    """Make one model file from a Caffe net and its weights.

    DEPLOY is a folder with one deploy prototxt and one caffemodel, or a prototxt
    with --caffemodel. What is neither given nor in the files is assumed and
    printed. The model file keeps the answers of the net.
    """
    from fer_lmdb.models.caffe_import import CaffeOptions, import_caffe

    result = import_caffe(deploy, out, caffemodel=caffemodel, options=CaffeOptions(**options), force=force)
    if as_json:
        emit({"model": str(out), "assumptions": result.assumptions, "notes": result.notes})
        return
    for line in result.notes:
        note(f"Note: {line}")
    for line in result.assumptions:
        note(f"Assumed: {line}")
    click.echo(f"{out}  {out.stat().st_size:,} bytes")
    next_command("predict", "photo.jpg", "--model", str(out))
