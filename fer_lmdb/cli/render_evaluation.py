"""Figures of an evaluation as text for a terminal of 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich import box
from rich.table import Table

from fer_lmdb.cli.console import print_whole

STEP = 2
"""Width of a bar's range in the picture of single batches, in percent."""


def print_evaluation(result: dict[str, Any]) -> None:
    """Print all that `evaluate` found."""
    _print_headline(result)
    _print_confusion(result)
    if "protocols" in result:
        _print_protocols(result["protocols"])
    if "comparison" in result:
        _print_comparison(result["comparison"])
    if "batch_accuracies" in result:
        _print_readings(result["batch_accuracies"], result["n"])


def _print_headline(result: dict[str, Any]) -> None:
    click.echo(f"{named(result['models'])} on {result['data']}, split {result['split']}, N = {result['n']}")
    if "data_variants" in result:
        click.echo(f"models that know another kind of face looked at it in {' or '.join(result['data_variants'])}")
    if "label_scheme" in result:
        click.echo(f"counted by the {len(result['classes'])} classes of the scheme {result['label_scheme']}")
    if "weights" in result:
        _print_weights(result)
    for line in warnings(result):
        click.echo(line)
    low, high = result["ci95"]
    click.echo(f"accuracy {result['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), {result['tta']} view(s)")
    click.echo(
        f"macro F1 {result['macro_f1']:.3f}, precision {result['macro_precision']:.3f}, "
        f"recall {result['macro_recall']:.3f}; log-loss {result['log_loss']:.3f}, "
        f"calibration error {result['ece']:.3f}"
    )


def warnings(result: dict[str, Any]) -> Iterator[str]:
    """Say where figures are not a model's own, or flatter it."""
    for name, fields in result.get("preprocessing_mismatch", {}).items():
        told = "; ".join(f"{field} {own}, here {ours}" for field, (own, ours) in fields.items())
        yield f"{name} was trained on faces prepared otherwise ({told}): this is not its own figure."
    if known := result.get("trained_on_split"):
        yield f"{named(known)} learnt from these very faces: the figures flatter {'it' if len(known) == 1 else 'them'}."


def named(models: Sequence[str]) -> str:
    """Return the names of a few models, or the number and the ends of many."""
    return " + ".join(models) if len(models) <= 3 else f"{len(models)} models, {models[0]} to {models[-1]},"


def _print_weights(result: dict[str, Any]) -> None:
    total = sum(result["weights"])
    shares = ", ".join(f"{weight / total:.3f}" for weight in result["weights"])
    origin = f", fitted on {result['fitted_on']}" if result["fitted_on"] else ""
    click.echo(f"{len(result['weights'])} models with the weights {shares}{origin}")
    if result["fitted_on"] == result["split"]:
        click.echo("The weights were fitted on these very faces: these figures flatter them.")


def _print_confusion(result: dict[str, Any]) -> None:
    # Narrow enough for a terminal of 80 columns with seven classes.
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, title="rows: true class, columns: predicted")
    table.add_column("true", no_wrap=True)
    for heading in [*(name[:3] for name in result["classes"]), "recall", "precision", "N"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in zip(result["classes"], result["confusion"], strict=True):
        own = result["per_class"][name]
        table.add_row(name, *map(str, row), f"{own['recall']:.1%}", f"{own['precision']:.1%}", str(own["n"]))
    print_whole(table)


def _print_protocols(protocols: dict[str, dict[str, Any]]) -> None:
    click.echo("By the rules of published figures on FER+ (a face counts if ...):")
    for name, found in protocols.items():
        low, high = found["ci95"]
        click.echo(f"  {name:<26} {found['accuracy']:.2%} ({low:.2%} to {high:.2%}), N = {found['n']:,}")
        click.echo(f"  {'':<26} ... {found['faces']}")


def _print_comparison(found: dict[str, Any]) -> None:
    verdict = "more than chance explains" if found["significant"] else "no more than chance may explain"
    click.echo(f"Against {named(found['models'])} ({found['accuracy']:.2%} on the same faces):")
    click.echo(
        f"  {100 * found['difference']:+.2f} points; {found['only_first']} faces only the first got right, "
        f"{found['only_second']} only the second"
    )
    click.echo(f"  McNemar's exact test: p = {found['p_value']:.3g}, {verdict} (at 5 %)")


def _print_readings(found: dict[str, Any], count: int) -> None:
    """Draw how many batches read which accuracy."""
    values = [100 * value for value in found["accuracies"]]
    click.echo(f"Accuracy on each of {len(values)} batches of {found['size']} faces:")
    for line in histogram(values):
        click.echo(f"  {line}")
    click.echo(f"All {count:,} faces: {found['accuracy']:.1%}. That is the accuracy.")
    click.echo(f"The best batch: {found['max']:.1%}. That is no accuracy: it was picked for being high.")
    click.echo(
        f"By luck alone the best of {len(values)} such batches shows {found['expected_max']:.1%} on average "
        f"for a net that is right {found['accuracy']:.1%} of the time."
    )


def histogram(values: Sequence[float], step: int = STEP) -> list[str]:
    """Return a line for every range of percent between the lowest and the highest value, highest last.

    Args:
        values: percent.
        step: width of a range.
    """
    counts = Counter(int(value + 1e-9) // step for value in values)
    bins = range(min(counts), max(counts) + 1)
    return [f"{step * at:>3} to {step * (at + 1):>3} %  {'#' * counts[at]:<12}{counts[at] or '':>4}" for at in bins]
