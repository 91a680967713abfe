"""``fer-lmdb calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, next_command, print_next_step
from fer_lmdb.cli.shared_options import (
    align_option,
    device_option,
    ensemble_weights_option,
    force_option,
    json_option,
    precision_option,
    tta_option,
)
from fer_lmdb.cli.types import DATA_SET, MODEL

if TYPE_CHECKING:
    from fer_lmdb.evaluation.calibrate import CalibrationResult

EXAMPLES = """
# the best model of a run; predict, evaluate and export use the temperature from then on
fer-lmdb calibrate runs/mine --data data/fer2013
# a pretrained model for other faces, as a copy
fer-lmdb calibrate fer_mini --data data/mine --out fer_mini_mine.safetensors
# an ensemble: prints the temperature for --ensemble-temperature
fer-lmdb calibrate runs/a runs/b --data data/fer2013
"""


@click.command("calibrate", cls=Command, examples=EXAMPLES)
@click.argument("models", type=MODEL, nargs=-1, required=True, metavar="MODEL...")
@caffe_options("models", writes_to="out")
@click.option(
    "--data",
    type=DATA_SET,
    multiple=True,
    default=["data/fer2013"],
    show_default=True,
    help="Data set folder. Repeat for data sets of the same faces with other preprocessing.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Model file to write.  [default: update MODEL]",
)
@force_option("data sets or other files of runs")
@tta_option()
@align_option("Faces of --data: landmarks: aligned ones, box: unaligned ones, both: average the probabilities.")
@ensemble_weights_option()
@device_option()
@precision_option()
@json_option
def command(
    models: tuple[str, ...],
    data: tuple[str, ...],
    out: Path | None,
    force: bool,
    tta: int,
    align: str | None,
    ensemble_weights: tuple[float, ...] | None,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Fit a temperature to the validation split, so that probabilities match accuracy.

    The temperature divides the logits. It is the one of the lowest log-loss, is
    stored in the model's metadata and applied by all commands. The weights and all
    predicted classes stay the same. The average of several models has a temperature
    of its own, which is printed.
    """
    from fer_lmdb.evaluation.calibrate import calibrate

    result = calibrate(
        models,
        data,
        out=out,
        tta=tta,
        align=align,
        device=device,
        precision=precision,
        ensemble_weights=ensemble_weights,
        force=force,
    )
    if as_json:
        emit(result.to_dict())
    else:
        _print(result)
    if result.file is None:
        print_next_step(f"pass --ensemble-temperature {result.temperature:.3f} to predict, watch or evaluate")
    else:
        next_command("evaluate", str(out or models[0]), *(word for each in data for word in ("--data", each)))


def _print(result: CalibrationResult) -> None:
    from fer_lmdb.cli.render_evaluation import caveat_lines
    from fer_lmdb.evaluation.formatting import format_models, format_views

    click.echo(f"{format_models(result.models)} on {result.data}, split {result.split}, N = {result.n}")
    for line in caveat_lines({"preprocessing_mismatch": result.preprocessing_mismatch or {}}):
        click.echo(line)
    click.echo(f"temperature {result.temperature:.3f}, {format_views(result.tta)}; accuracy {result.accuracy:.2%}")
    for key, name in (("log_loss", "log-loss"), ("ece", "calibration error")):
        click.echo(f"{name} {result.uncalibrated[key]:.3f} before, {result.calibrated[key]:.3f} after")
    if result.file:
        click.echo(f"Stored in {result.file}")
