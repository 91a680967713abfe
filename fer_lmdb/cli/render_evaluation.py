"""Evaluation results as text for a terminal of 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from fer_lmdb.cli.console import print_full_table
from fer_lmdb.evaluation.formatting import format_interval, format_models, format_views

if TYPE_CHECKING:
    from fer_lmdb.evaluation.result import EvaluationResult

BIN_WIDTH = 2
"""Width of a bin in the histogram of batch accuracies, in percent."""


def print_evaluation(result: EvaluationResult) -> None:
    """Print the result of `evaluate`."""
    _print_headline(result)
    _print_confusion(result)
    if result.protocols:
        _print_protocols(result.protocols)
    if result.comparison:
        _print_comparison(result.comparison)
    if result.batch_accuracies:
        _print_batch_accuracies(result.batch_accuracies, result.n)


def _print_headline(result: EvaluationResult) -> None:
    click.echo(f"{format_models(result.models)} on {result.data}, split {result.split}, N = {result.n}")
    if result.data_variants:
        others = " or ".join(result.data_variants)
        if result.align == "both":
            click.echo(f"averaged over aligned and unaligned faces, with {others}")
        elif result.align is None:
            click.echo(f"models with other preprocessing are evaluated on {others}")
    if result.label_scheme:
        click.echo(f"mapped to the {len(result.classes)} classes of the label scheme {result.label_scheme}")
    if result.weights:
        _print_weights(result, result.weights)
    for line in caveat_lines(result.caveats):
        click.echo(line)
    interval = format_interval({"ci95": result.ci95})
    click.echo(f"accuracy {result.accuracy:.2%} ({interval}), {format_views(result.tta)}")
    click.echo(
        f"macro F1 {result.macro_f1:.3f}, precision {result.macro_precision:.3f}, "
        f"recall {result.macro_recall:.3f}; log-loss {result.log_loss:.3f}, "
        f"calibration error {result.ece:.3f}"
    )
    if result.uncalibrated:
        before = result.uncalibrated
        click.echo(
            f"calibrated with temperature {result.temperature:.3f}; before: log-loss {before['log_loss']:.3f}, "
            f"calibration error {before['ece']:.3f}"
        )


def caveat_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each reason why metrics are not those of the models on unseen faces.

    Args:
        result: Result or caveats of an evaluation, see `EvaluationResult.caveats`.
    """
    for name, settings in result.get("preprocessing_mismatch", {}).items():
        differing = "; ".join(f"{field} {own}, here {here}" for field, (own, here) in settings.items())
        yield (
            f"{name} was trained with different preprocessing ({differing}); this accuracy is not comparable with its "
            "reported one."
        )
    if known := result.get("trained_on_split"):
        verb = "was" if len(known) == 1 else "were"
        yield f"{format_models(known)} {verb} trained on this split; the metrics are optimistic."


def _print_weights(result: EvaluationResult, weights: Sequence[float]) -> None:
    fractions = ", ".join(f"{weight / sum(weights):.3f}" for weight in weights)
    origin = f", fitted on {result.fitted_on}" if result.fitted_on else ""
    click.echo(f"{len(weights)} models with the weights {fractions}{origin}")
    if result.fitted_on == result.split:
        click.echo("The weights were fitted on this split; the metrics are optimistic.")


def _print_confusion(result: EvaluationResult) -> None:
    # Narrow enough for a terminal of 80 columns with seven classes.
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, title="rows: true class, columns: predicted")
    table.add_column("true", no_wrap=True)
    for heading in [*(name[:3] for name in result.classes), "recall", "precision", "N"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in zip(result.classes, result.confusion, strict=True):
        own = result.per_class[name]
        table.add_row(name, *map(str, row), f"{own['recall']:.1%}", f"{own['precision']:.1%}", str(own["n"]))
    print_full_table(table)


def _print_protocols(protocols: Mapping[str, Mapping[str, Any]]) -> None:
    click.echo("By the rules of published FER+ results (a face counts if ...):")
    for name, metrics in protocols.items():
        click.echo(f"  {name:<26} {metrics['accuracy']:.2%} ({format_interval(metrics)}), N = {metrics['n']:,}")
        click.echo(f"  {'':<26} ... {metrics['faces']}")


def _print_comparison(comparison: Mapping[str, Any]) -> None:
    verdict = "significant" if comparison["significant"] else "not significant"
    click.echo(f"Compared with {format_models(comparison['models'])} ({comparison['accuracy']:.2%} on the same faces):")
    click.echo(
        f"  {100 * comparison['difference']:+.2f} points; correct only with the first: {comparison['only_first']} "
        f"faces, only with the second: {comparison['only_second']}"
    )
    click.echo(f"  McNemar's exact test: p = {comparison['p_value']:.3g}, {verdict} (at 5 %)")


def _print_batch_accuracies(found: Mapping[str, Any], count: int) -> None:
    values = [100 * value for value in found["accuracies"]]
    click.echo(f"Accuracy on each of {len(values)} batches of {found['size']} faces:")
    for line in histogram(values):
        click.echo(f"  {line}")
    click.echo(f"All {count:,} faces: {found['accuracy']:.1%}. This is the accuracy.")
    click.echo(f"Best batch: {found['max']:.1%}. This is the maximum over batches, not an accuracy.")
    click.echo(
        f"The expected maximum over {len(values)} such batches is {found['expected_max']:.1%} for a classifier with an "
        f"accuracy of {found['accuracy']:.1%}."
    )


def histogram(values: Sequence[float], width: int = BIN_WIDTH) -> list[str]:
    """Return a line for each bin between the minimum and the maximum, in ascending order.

    Args:
        values: Percentages.
        width: Width of a bin.
    """
    counts = Counter(int(value + 1e-9) // width for value in values)
    bins = range(min(counts), max(counts) + 1)
    return [f"{width * at:>3} to {width * (at + 1):>3} %  {'#' * counts[at]:<12}{counts[at] or '':>4}" for at in bins]
