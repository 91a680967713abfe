"""``fer-lmdb evaluate``."""

from __future__ import annotations

from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.output import emit, json_option, out_console
from fer_lmdb.cli.types import DATA_SET, DEVICE, MODEL

EXAMPLES = """
# a run on the validation split
fer-lmdb evaluate runs/face_emotion_net-001
# the shipped model, ten views per face
fer-lmdb evaluate face_emotion_net --data data/plain --tta 10
# two runs as an ensemble, figures for a script
fer-lmdb evaluate runs/a runs/b --json
"""


@click.command("evaluate", cls=Command, examples=EXAMPLES)
@click.argument("models", type=MODEL, nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data", type=DATA_SET, default="data/fer2013", show_default=True, help="Data set folder that build has written."
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="val",
    show_default=True,
    help="Choose models on val; open test once, for a model that is final.",
)
@click.option(
    "--tta", type=click.Choice(["1", "2", "10"]), default="1", show_default=True, help="Views per face, averaged."
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, ...")
@json_option
def command(models: tuple[str, ...], data: str, split: str, tta: str, device: str, as_json: bool) -> None:
    """Measure models on a split, with N and a 95 % interval.

    MODEL is a run folder, a model file or the name of a shipped model. Several
    models are an ensemble: their probabilities are averaged.
    """
    from fer_lmdb.evaluate import evaluate

    figures = evaluate(models, data, split, int(tta), device)
    if as_json:
        emit(figures)
    else:
        _print(figures)


def _print(figures: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    low, high = figures["ci95"]
    click.echo(f"{' + '.join(figures['models'])} on {figures['data']}, split {figures['split']}, N = {figures['n']}")
    click.echo(f"accuracy {figures['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), {figures['tta']} view(s)")
    click.echo(
        f"macro F1 {figures['macro_f1']:.3f}, precision {figures['macro_precision']:.3f}, "
        f"recall {figures['macro_recall']:.3f}; log-loss {figures['log_loss']:.3f}, "
        f"calibration error {figures['ece']:.3f}"
    )
    # Narrow enough for a terminal of 80 columns with seven classes.
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, title="rows: true class, columns: predicted")
    table.add_column("true", no_wrap=True)
    for heading in [*(name[:3] for name in figures["classes"]), "recall", "precision", "N"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in zip(figures["classes"], figures["confusion"], strict=True):
        own = figures["per_class"][name]
        table.add_row(name, *map(str, row), f"{own['recall']:.1%}", f"{own['precision']:.1%}", str(own["n"]))
    out_console().print(table)
