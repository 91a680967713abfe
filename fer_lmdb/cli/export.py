"""``fer-lmdb export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_lmdb.choices import EXPORT_FORMATS
from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, print_next_step
from fer_lmdb.cli.shared_options import force_option, json_option
from fer_lmdb.cli.types import DATA_SET, MODEL

EXAMPLES = """
# for Caffe and OpenCV 4
fer-lmdb export fer_mini --out caffe/
# the same with mean and scale inside the net, and code that runs it
fer-lmdb export fer_mini --raw-input --out caffe/
# for onnxruntime: maps uint8 faces to probabilities
fer-lmdb export fer_mini --out face.onnx
# also in int8, evaluated on the validation split
fer-lmdb export fer_mini --format onnx --int8 --out face.onnx
# the best model of a run as one file in half precision
fer-lmdb export runs/mine --format safetensors --out mine.safetensors
"""


@click.command("export", cls=Command, examples=EXAMPLES)
@click.argument("model", type=MODEL)
@caffe_options("model")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(EXPORT_FORMATS),
    help="Output format.  [default: by the suffix of --out; caffe for a folder]",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write; a folder for caffe.")
@click.option("--int8", is_flag=True, help="onnx: also write OUT-int8.onnx, calibrated and evaluated on --data.")
@click.option(
    "--data",
    type=DATA_SET,
    default="data/fer2013",
    show_default=True,
    help="--int8: data set; its train split calibrates, its val split evaluates.",
)
@click.option("--raw-input", is_flag=True, help="caffe: put mean and scale into the net; pixels go in.")
@click.option("--uncalibrated", is_flag=True, help="Leave out the temperature that calibrate stored in MODEL.")
@force_option("the model itself, or files of data sets or runs")
@json_option
def command(
    model: str,
    format_name: str | None,
    out: Path,
    int8: bool,
    data: str,
    raw_input: bool,
    uncalibrated: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Export MODEL (pretrained model, model file or run folder) to another format.

    caffe: deploy.prototxt, a .caffemodel and, if the net subtracts a mean,
    mean.binaryproto; for Caffe and OpenCV 4. With --raw-input the net takes the
    pixels of a cropped face, and README.md has code that runs it. onnx: one file that contains labels,
    mean and preprocessing; it is compared with the model after it is written.
    safetensors: one file with large blobs in half precision and the results of
    evaluate. caffe and onnx contain the temperature of a calibrated model in the
    weights of the last layer.
    """
    from fer_lmdb.exporting.export import choose_format, export

    if raw_input and choose_format(out, format_name) != "caffe":
        raise click.UsageError("--raw-input requires --format caffe")
    if int8 and choose_format(out, format_name) != "onnx":
        raise click.UsageError("--int8 requires --format onnx")

    int8_data = data if int8 else None
    result = export(model, out, format_name, int8_data, calibrated=not uncalibrated, raw_input=raw_input, force=force)
    if as_json:
        emit({"model": model, **result.to_dict()})
        return
    for path in result.files:
        click.echo(f"{path}  {path.stat().st_size:,} bytes")
    if result.format == "onnx":
        _print_checks(result.checks)
        print_next_step("see docs/export.md for ten lines of onnxruntime code that run it")


def _print_checks(checks: dict[str, Any]) -> None:
    click.echo(
        f"Checked with onnxruntime on {checks['checked_faces']} random images: "
        f"largest difference of a probability {checks['largest_difference']:.1e}"
    )
    if "int8" in checks:
        _print_int8(checks["int8"])


def _print_int8(results: dict[str, Any]) -> None:
    click.echo(
        f"int8, calibrated on {results['calibration_faces']} training faces (seed 0); split {results['split']}, "
        f"N = {results['n']}: same prediction for {results['agreement']:.1%}"
    )
    for name in ("float32", "int8"):
        own = results[name]
        low, high = own["ci95"]
        click.echo(
            f"  {name:7}  accuracy {own['accuracy']:.2%} ({low:.2%} to {high:.2%})  {own['bytes']:>10,} bytes  "
            f"{own['ms_per_face']:.2f} ms per face, {own['faces_per_second']:,.0f} faces/s in batches"
        )
