"""``fer-lmdb evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, json_option, note
from fer_lmdb.cli.types import DATA_SET, DEVICE, MODEL

EXAMPLES = """
# a run on the validation split
fer-lmdb evaluate runs/face_emotion_net-001
# a shipped model, ten views per face
fer-lmdb evaluate fer_mini --tta 10
# an ensemble of all models in a folder, with weights fitted on validation
fer-lmdb evaluate runs/a/kept --fit-weights
# nets trained on faces as they are and upright, each looking at its own kind
fer-lmdb evaluate runs/a runs/b --data data/upright --data data/as-is
# is one run really better than another?
fer-lmdb evaluate runs/a --compare runs/b
# why the best of single batches says 78 %
fer-lmdb evaluate runs/a --explain-78
"""


@click.command("evaluate", cls=Command, examples=EXAMPLES)
@click.argument("models", type=MODEL, nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    type=DATA_SET,
    multiple=True,
    default=["data/fer2013"],
    show_default=True,
    help="Data set folder that build has written; more: the same faces prepared as other models know them.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="val",
    show_default=True,
    help="Choose models on val; open test once, for a model that is final.",
)
@click.option(
    "--tta",
    type=click.Choice(["1", "2", "4", "10"]),
    default="1",
    show_default=True,
    help="Views per face, averaged: 2 zoom and mirror, 4 turn as well, as the training did; 10 are crops.",
)
@click.option(
    "--classes",
    type=click.Choice(["merged", "without-disgust"]),
    help="Count seven classes as six: disgust added to anger, or left out.",
)
@click.option("--weights", metavar="LIST", help="Weights of an ensemble's members, as 2,1,1.  [default: all alike]")
@click.option("--fit-weights", is_flag=True, help="Fit the weights on the validation split, whatever --split is.")
@click.option(
    "--compare", type=MODEL, multiple=True, help="Another model: McNemar's test between the two; several are averaged."
)
@click.option("--explain-78", is_flag=True, help="Show the accuracies of single batches of 100, and the best of them.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where --explain-78 draws them.  [default: explain-78.png in the run's folder, or here]",
)
@click.option("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option(
    "--precision",
    type=click.Choice(["auto", "bfloat16", "float32"]),
    default="float32",
    show_default=True,
    help="What nets compute in; auto: bfloat16 where the processor is fast at it.",
)
@json_option
def command(
    models: tuple[str, ...],
    data: tuple[str, ...],
    split: str,
    tta: str,
    classes: str | None,
    weights: str | None,
    fit_weights: bool,
    compare: tuple[str, ...],
    explain_78: bool,
    plot: Path | None,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Measure models on a split, with N and a 95 % interval.

    MODEL is a run folder, a model file, the name of a shipped model, or a folder of
    models. Several models are an ensemble: their probabilities are averaged. Every
    run keeps a record of its evaluations in figures.jsonl.
    """
    if weights and fit_weights:
        raise click.UsageError("--weights and --fit-weights are two ways to say the same; give one of them")
    if plot and not explain_78:
        raise click.UsageError("--plot belongs to --explain-78")
    from fer_lmdb.evaluation.evaluate import evaluate

    result = evaluate(
        models,
        data,
        split,
        int(tta),
        device,
        weights=_numbers(weights),
        fit_weights_on="val" if fit_weights else None,
        compare_to=compare,
        label_scheme=classes,
        batch_accuracies=explain_78,
        precision=precision,
    )
    if explain_78:
        result["plot"] = str(_draw(result, plot))
    if as_json:
        emit(result)
        return
    from fer_lmdb.cli.render_evaluation import print_evaluation

    print_evaluation(result)
    if explain_78:
        note(f"Drawn in {result['plot']}")


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise click.UsageError(f'--weights "{text}": expected a number for each model, as 2,1,1') from None


def _draw(result: dict[str, Any], plot: Path | None) -> Path:
    """Draw the readings of single batches into a file."""
    from fer_lmdb.evaluation.batch_accuracy import batch_accuracy_figure

    folder = Path(result["models"][0])
    path = plot or (folder if (folder / "run.json").is_file() else Path()) / "explain-78.png"
    names = " + ".join(Path(name).name for name in result["models"])
    batch_accuracy_figure(result["readings"], f"{names}, split {result['split']}, N = {result['n']:,}").savefig(
        path, dpi=150
    )
    return path
