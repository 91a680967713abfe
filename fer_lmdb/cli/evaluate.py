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
fer-lmdb evaluate runs/a/checkpoints --fit-ensemble-weights
# nets trained on faces as they are and upright, each looking at its own kind
fer-lmdb evaluate runs/a runs/b --data data/upright --data data/as-is
# is one run really better than another?
fer-lmdb evaluate runs/a --compare runs/b
# why the best of single batches says 78 %
fer-lmdb evaluate runs/a --batch-accuracies
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
    "--label-scheme",
    type=click.Choice(["merged", "without-disgust"]),
    help="Count seven classes as six: disgust added to anger, or left out.",
)
@click.option(
    "--ensemble-weights", metavar="LIST", help="Weights of an ensemble's members, as 2,1,1.  [default: all alike]"
)
@click.option(
    "--fit-ensemble-weights", is_flag=True, help="Fit the weights on the validation split, whatever --split is."
)
@click.option(
    "--compare", type=MODEL, multiple=True, help="Another model: McNemar's test between the two; several are averaged."
)
@click.option("--batch-accuracies", is_flag=True, help="Print the accuracy of each batch of 100 faces.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Chart of --batch-accuracies.  [default: batch-accuracies.png in the run's folder, or here]",
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
    label_scheme: str | None,
    ensemble_weights: str | None,
    fit_ensemble_weights: bool,
    compare: tuple[str, ...],
    batch_accuracies: bool,
    plot: Path | None,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Measure models on a split, with N and a 95 % interval.

    MODEL is a run folder, a model file, the name of a shipped model, or a folder of
    models. Several models are an ensemble: their probabilities are averaged. Every
    run keeps a record of its evaluations in evaluations.jsonl.
    """
    if ensemble_weights and fit_ensemble_weights:
        raise click.UsageError("--ensemble-weights and --fit-ensemble-weights are mutually exclusive")
    if plot and not batch_accuracies:
        raise click.UsageError("--plot needs --batch-accuracies")
    from fer_lmdb.evaluation.evaluate import evaluate

    result = evaluate(
        models,
        data,
        split,
        int(tta),
        device,
        ensemble_weights=_numbers(ensemble_weights),
        fit_weights_on="val" if fit_ensemble_weights else None,
        compare_to=compare,
        label_scheme=label_scheme,
        batch_accuracies=batch_accuracies,
        precision=precision,
    )
    if batch_accuracies:
        result["plot"] = str(_draw(result, plot))
    if as_json:
        emit(result)
        return
    from fer_lmdb.cli.render_evaluation import print_evaluation

    print_evaluation(result)
    if batch_accuracies:
        note(f"Drawn in {result['plot']}")


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise click.UsageError(f'--ensemble-weights "{text}": expected one number per model, e.g. 2,1,1') from None


def _draw(result: dict[str, Any], plot: Path | None) -> Path:
    """Plot the accuracy of each batch to a file."""
    from fer_lmdb.visualization.plots import batch_accuracy_figure

    folder = Path(result["models"][0])
    path = plot or (folder if (folder / "run.json").is_file() else Path()) / "batch-accuracies.png"
    names = " + ".join(Path(name).name for name in result["models"])
    batch_accuracy_figure(result["batch_accuracies"], f"{names}, split {result['split']}, N = {result['n']:,}").savefig(
        path, dpi=150
    )
    return path
