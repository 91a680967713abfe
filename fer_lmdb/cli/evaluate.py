"""``fer-lmdb evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note
from fer_lmdb.cli.shared_options import (
    align_option,
    device_option,
    ensemble_temperature_option,
    ensemble_weights_option,
    force_option,
    json_option,
    labels_option,
    precision_option,
    split_option,
    tta_option,
)
from fer_lmdb.cli.types import DATA_SET, MODEL, PlotFile

if TYPE_CHECKING:
    from fer_lmdb.evaluation.result import EvaluationResult

PLOT = "batch-accuracies.png"
EXAMPLES = """
# a run on the validation split
fer-lmdb evaluate runs/face_emotion_net-001
# a pretrained model, ten TTA views per face
fer-lmdb evaluate fer_mini --tta 10
# an ensemble of all models in a folder, with weights fitted on validation
fer-lmdb evaluate runs/a/checkpoints --fit-ensemble-weights
# models trained on aligned and unaligned faces, each on its own data set
fer-lmdb evaluate runs/a runs/b --data data/aligned --data data/unaligned
# each face aligned and unaligned, probabilities averaged
fer-lmdb evaluate fer_conv12_wide --align both --data data/aligned --data data/unaligned
# is one run significantly better than another?
fer-lmdb evaluate runs/a --compare runs/b
# the accuracy of each batch of 100 faces
fer-lmdb evaluate runs/a --batch-accuracies
"""


@click.command("evaluate", cls=Command, examples=EXAMPLES)
@click.argument("models", type=MODEL, nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    type=DATA_SET,
    multiple=True,
    help="Data set, or a folder of databases of Caffe's tools; repeat for the same faces with other preprocessing.  "
    "[default: that of the model's run, or data/fer2013]",
)
@split_option("Split. Select models on val; use test once, for the final model.")
@tta_option()
@align_option("Faces of --data: landmarks: aligned ones, box: unaligned ones, both: average the probabilities.")
@click.option(
    "--label-scheme",
    type=click.Choice(["merged", "without-disgust"]),
    help="Map seven classes to six: add disgust to anger, or drop it.",
)
@labels_option("the classes of databases without a manifest")
@caffe_options("models", shared=("labels",))
@ensemble_weights_option()
@ensemble_temperature_option()
@click.option("--fit-ensemble-weights", is_flag=True, help="Fit the weights on the validation split.")
@click.option("--compare", type=MODEL, multiple=True, help="Compare with another model or ensemble (McNemar's test).")
@click.option("--batch-accuracies", is_flag=True, help="Print the accuracy of each batch of 100 faces.")
@click.option(
    "--plot",
    type=PlotFile(),
    metavar="FILE",
    help=f"Plot of --batch-accuracies.  [default: {PLOT} in the run folder, or here]",
)
@force_option()
@device_option()
@precision_option()
@click.option("--log/--no-log", default=True, show_default=True, help="Record the result in evaluations.jsonl.")
@json_option
def command(
    models: tuple[str, ...],
    data: tuple[str, ...],
    split: str,
    tta: int,
    align: str | None,
    label_scheme: str | None,
    labels: str | None,
    ensemble_weights: tuple[float, ...] | None,
    ensemble_temperature: float | None,
    fit_ensemble_weights: bool,
    compare: tuple[str, ...],
    batch_accuracies: bool,
    plot: Path | None,
    force: bool,
    device: str,
    precision: str,
    log: bool,
    as_json: bool,
) -> None:
    """Evaluate models on a split: accuracy with N and a 95 % interval.

    MODEL is a run folder, a model file, the name of a pretrained model, or a folder of
    models. Several models form an ensemble: their probabilities are averaged. The
    result is appended to evaluations.jsonl in the folder of each run, so that every
    evaluation on the test split is recorded.
    """
    if ensemble_weights and fit_ensemble_weights:
        raise click.UsageError("--ensemble-weights and --fit-ensemble-weights are mutually exclusive")
    if plot and not batch_accuracies:
        raise click.UsageError("--plot requires --batch-accuracies")
    target = _plot_target(models, data, plot, force) if batch_accuracies else None
    from fer_lmdb.evaluation.evaluate import evaluate
    from fer_lmdb.evaluation.log import log_evaluation

    result = evaluate(
        models,
        data,
        split,
        tta=tta,
        align=align,
        device=device,
        precision=precision,
        ensemble_weights=ensemble_weights,
        ensemble_temperature=ensemble_temperature,
        fit_weights_on="val" if fit_ensemble_weights else None,
        compare_to=compare,
        label_scheme=label_scheme,
        labels=labels,
        batch_accuracies=batch_accuracies,
        log=False,
    )
    plotted = target if target and _plot(result, target, is_default=plot is None) else None
    if as_json:
        emit(result.to_dict() | ({"plot": str(plotted)} if plotted else {}))
    else:
        from fer_lmdb.cli.render_evaluation import print_evaluation

        print_evaluation(result)
        if plotted:
            note(f"Plot: {plotted}")
    for problem in log_evaluation(result) if log else []:
        click.echo(f"Warning: {problem}", err=True)


def _plot_target(models: Sequence[str], data: Sequence[str], path: Path | None, force: bool) -> Path:
    """Return where the plot goes: the given file, or a file in the run of the first model or the current folder."""
    from fer_lmdb.io.outputs import check_file
    from fer_lmdb.models.registry import resolve_members, resolve_model

    folder = Path(models[0])
    target = path or (folder if (folder / "run.json").is_file() else Path()) / PLOT
    return check_file(target, [*map(resolve_model, resolve_members(models)), *data], force=force)


def _plot(result: EvaluationResult, path: Path, is_default: bool) -> bool:
    """Plot the accuracy of each batch; a run folder that cannot be written only causes a warning."""
    from fer_lmdb.errors import ImageError
    from fer_lmdb.visualization.figure_file import save_figure
    from fer_lmdb.visualization.plots import batch_accuracy_figure

    assert result.batch_accuracies is not None
    names = " + ".join(Path(name).name for name in result.models)
    figure = batch_accuracy_figure(result.batch_accuracies, f"{names}, split {result.split}, N = {result.n:,}")
    try:
        save_figure(figure, path, dpi=150)
    except ImageError as error:
        if not is_default:
            raise
        click.echo(f"Warning: {error}; set another file with --plot", err=True)
        return False
    return True
