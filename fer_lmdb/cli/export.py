"""``fer-lmdb export``."""

from __future__ import annotations

from pathlib import Path

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.output import emit, json_option
from fer_lmdb.cli.types import MODEL

EXAMPLES = """
# for Caffe and OpenCV 4
fer-lmdb export face_emotion_net --out caffe/
# a run's best model as one file in half precision
fer-lmdb export runs/mine --format safetensors --out mine.safetensors
"""


@click.command("export", cls=Command, examples=EXAMPLES)
@click.argument("model", type=MODEL)
@click.option("--format", "form", type=click.Choice(["safetensors", "caffe"]), default="caffe", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File (safetensors) or folder (caffe).")
@json_option
def command(model: str, form: str, out: Path, as_json: bool) -> None:
    """Write MODEL (shipped name, model file or run folder) in another form.

    caffe: deploy.prototxt, a .caffemodel and mean.binaryproto, which Caffe itself
    and OpenCV 4 read. safetensors: one file with large blobs in half precision and
    the figures that evaluate measured.
    """
    from fer_lmdb.export import export

    files = export(model, form, out)
    if as_json:
        emit({"model": model, "format": form, "files": [str(path) for path in files]})
        return
    for path in files:
        click.echo(f"{path}  {path.stat().st_size:,} bytes")
