"""``fer-lmdb export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, json_option, print_next_step
from fer_lmdb.cli.types import DATA_SET, MODEL

EXAMPLES = """
# for Caffe and OpenCV 4
fer-lmdb export fer_mini --out caffe/
# for onnxruntime: uint8 faces in, probabilities out
fer-lmdb export fer_mini --format onnx --out face.onnx
# the same in int8 as well, measured on the validation split
fer-lmdb export fer_mini --format onnx --int8 --out face.onnx
# a run's best model as one file in half precision
fer-lmdb export runs/mine --format safetensors --out mine.safetensors
"""


@click.command("export", cls=Command, examples=EXAMPLES)
@click.argument("model", type=MODEL)
@click.option(
    "--format",
    "form",
    type=click.Choice(["caffe", "onnx", "safetensors"]),
    default="caffe",
    show_default=True,
    help="What to write.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder for caffe.")
@click.option("--int8", is_flag=True, help="onnx: also write OUT-int8.onnx, calibrated and measured on --data.")
@click.option(
    "--data",
    type=DATA_SET,
    default="data/fer2013",
    show_default=True,
    help="--int8: data set whose training faces calibrate and whose validation faces measure.",
)
@json_option
def command(model: str, form: str, out: Path, int8: bool, data: str, as_json: bool) -> None:
    """Write MODEL (shipped name, model file or run folder) in another form.

    caffe: deploy.prototxt, a .caffemodel and, where the net subtracts one,
    mean.binaryproto, which Caffe itself and OpenCV 4 read. onnx: one file with labels, mean and preprocessing inside,
    compared with the model after it is written. safetensors: one file with large
    blobs in half precision and the figures that evaluate measured.
    """
    if int8 and form != "onnx":
        raise click.UsageError("--int8 goes with --format onnx")

    from fer_lmdb.exporting import export

    exported = export(model, form, out, data if int8 else None)
    if as_json:
        emit({"model": model, "format": form, "files": [str(path) for path in exported.files], **exported.facts})
        return
    for path in exported.files:
        click.echo(f"{path}  {path.stat().st_size:,} bytes")
    if form == "onnx":
        _print_checks(exported.facts)
        print_next_step("docs/export.md has ten lines of onnxruntime that run it")


def _print_checks(facts: dict[str, Any]) -> None:
    click.echo(
        f"Checked with onnxruntime on {facts['checked_faces']} drawn faces: "
        f"largest difference of a probability {facts['largest_difference']:.1e}"
    )
    if "int8" not in facts:
        return
    figures = facts["int8"]
    click.echo(
        f"int8, calibrated on {figures['calibration_faces']} training faces (seed 0); split {figures['split']}, "
        f"N = {figures['n']}: the same expression on {figures['agreement']:.1%}"
    )
    for name in ("float32", "int8"):
        own = figures[name]
        low, high = own["ci95"]
        click.echo(
            f"  {name:7}  accuracy {own['accuracy']:.2%} ({low:.2%} to {high:.2%})  {own['bytes']:>10,} bytes  "
            f"{own['ms_per_face']:.2f} ms a face, {own['faces_per_second']:,.0f} faces/s in batches"
        )
