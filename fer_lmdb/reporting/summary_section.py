"""Summary of a run: validation results, progress, seed, data and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from fer_lmdb.errors import ERRORS, FerLmdbError, RunError
from fer_lmdb.reporting.elements import Fact
from fer_lmdb.reporting.run_data import RunData

QUOTED = ("accuracy", "ci95", "n", "tta", "data")


def summary_facts(run: RunData, metrics: Mapping[str, Any] | None, source: str) -> list[Fact]:
    """Return the summary.

    Args:
        run: Run folder and its data set.
        metrics: Metrics of the validation split; None if they are not available.
        source: Origin of the metrics, or the reason why they are missing.
    """
    return [
        *result_facts(metrics, source),
        progress_fact(run),
        *recorded_test_facts(recorded_test(run)),
        *setup_facts(run),
    ]


def find_metrics(run: RunData) -> tuple[dict[str, Any] | None, Sequence[str], str]:
    """Evaluate the model on validation; if that is not possible, use an evaluation recorded in the run.

    Returns:
        Metrics or None, class names, and the origin of the metrics or the reason why they are missing.
    """
    try:
        metrics = run.validation.metrics
    except (*ERRORS, OSError) as error:
        reason = str(error)
    else:
        return metrics, metrics["classes"], "evaluated for this report"
    recorded = try_recorded(run, "val") if run.has_validation else None
    if recorded is None:
        return None, (), reason
    return recorded, recorded["classes"], f"recorded by fer-lmdb evaluate on {recorded['data']}"


def try_recorded(run: RunData, split: str) -> dict[str, Any] | None:
    """Return a recorded evaluation; None if there is none or it is damaged."""
    try:
        return run.recorded(split)
    except (RunError, OSError):
        return None


def recorded_test(run: RunData) -> dict[str, Any] | None:
    """Return the recorded test result of a run; a report never reads the test split itself."""
    recorded = try_recorded(run, "test")
    return None if recorded is None else {key: recorded[key] for key in QUOTED}


def result_facts(metrics: Mapping[str, Any] | None, source: str) -> list[Fact]:
    """Return accuracy, macro F1 and calibration error on validation."""
    if metrics is None:
        return [Fact("Validation accuracy", "not available", source)]
    return [
        Fact("Validation accuracy", f"{metrics['accuracy']:.2%}", f"{format_interval(metrics)}, {source}"),
        Fact("Macro F1", f"{metrics['macro_f1']:.3f}", f"mean of {len(metrics['per_class'])} classes, validation"),
        Fact("Calibration error", f"{metrics['ece']:.3f}", "expected, 15 bins, validation"),
    ]


def progress_fact(run: RunData) -> Fact:
    """Return finished and planned epochs and the best epoch."""
    try:
        best = max(run.log, key=lambda record: record.get("val_accuracy", record["epoch"]))
        state = "finished" if run.finished else "not finished; the results are those of the best epoch so far"
        epochs = f"{run.log[-1]['epoch']} of {run.recipe.epochs:.0f}"
    except (*ERRORS, OSError) as error:
        return Fact("Epochs", "none", str(error))
    return Fact("Epochs", epochs, f"{state}; best: {best['epoch']}")


def recorded_test_facts(test: Mapping[str, Any] | None) -> list[Fact]:
    """Return the recorded test result, if there is one."""
    if test is None:
        return []
    note = f"{format_interval(test)}; recorded by fer-lmdb evaluate on {test['data']}, not evaluated for this report"
    return [Fact("Test accuracy", f"{test['accuracy']:.2%}", note)]


def format_interval(metrics: Mapping[str, Any]) -> str:
    """Return interval, N and TTA views of an accuracy."""
    low, high = metrics["ci95"]
    views = "no TTA" if metrics["tta"] == 1 else f"{metrics['tta']} TTA views"
    return f"95 % interval {low:.1%} to {high:.1%}, N = {metrics['n']:,}, {views}"


def setup_facts(run: RunData) -> list[Fact]:
    """Return seed, parameters, data and versions."""
    config = run.config
    facts = [Fact("Seed", str(run.seed), "initial weights, order, augmentation and dropout")]
    with suppress(FerLmdbError, OSError):  # other elements report why the model is missing
        facts.append(Fact("Parameters", f"{run.model.parameters:,}", f"of {run.model.name}"))
    facts.append(Fact("Trained on", f"{config['epoch_size']:,} faces", f"split {run.options.get('train_splits')}"))
    if run.has_validation:
        facts.append(Fact("Validated on", f"{config['data'].get('counts', {}).get('val', 0):,} faces", "split val"))
    if versions := config.get("versions", {}):
        note = ", ".join(f"{name} {value}" for name, value in versions.items() if name != "fer-lmdb")
        facts.append(Fact("Trained with", f"fer-lmdb {versions.get('fer-lmdb', '?')}", note))
    return facts
