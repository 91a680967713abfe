"""The summary of a run: its figures on validation, how far it came, what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fer_lmdb.errors import FerLmdbError, RunError
from fer_lmdb.reporting.elements import Fact
from fer_lmdb.reporting.run_data import RunData
from prototxt_like.errors import PrototxtLikeError

QUOTED = ("accuracy", "ci95", "n", "tta", "data")


def facts_of(run: RunData, figures: dict[str, Any] | None, source: str) -> list[Fact]:
    """Return the summary.

    Args:
        run: its folder and data set.
        figures: those on validation, None where there are none.
        source: where they come from, or why there are none.
    """
    return [*result_facts(figures, source), *progress(run), *recorded_test_fact(quoted_test(run)), *setup_facts(run)]


def find_metrics(run: RunData) -> tuple[dict[str, Any] | None, Sequence[str], str]:
    """Measure the model on validation; where that cannot be done, take what `evaluate` once recorded.

    Returns:
        the figures or None, the class names, and where the figures come from, or why there are none.
    """
    try:
        found = run.validation
    except (FerLmdbError, PrototxtLikeError, OSError) as error:
        reason = str(error)
    else:
        return {"split": "val", "tta": 1, **found.figures}, run.model.scheme.classes, "measured for this report"
    recorded = attempt_recorded(run, "val") if run.has_validation else None
    if recorded is None:
        return None, (), reason
    return recorded, recorded["classes"], f"as fer-lmdb evaluate recorded it on {recorded['data']}"


def attempt_recorded(run: RunData, split: str) -> dict[str, Any] | None:
    """Return a recorded figure; None where there is none that can be read."""
    try:
        return run.recorded(split)
    except (RunError, OSError):
        return None


def quoted_test(run: RunData) -> dict[str, Any] | None:
    """Return what the run's record says of the test split, which a report never reads itself."""
    recorded = attempt_recorded(run, "test")
    return None if recorded is None else {key: recorded[key] for key in QUOTED}


def result_facts(figures: dict[str, Any] | None, source: str) -> list[Fact]:
    """Return the figures of the summary."""
    if figures is None:
        return [Fact("Accuracy on validation", "not measured", source)]
    low, high = figures["ci95"]
    note = f"{interval_note(low, high, figures)}, {source}"
    return [
        Fact("Accuracy on validation", f"{figures['accuracy']:.2%}", note),
        Fact("Macro F1", f"{figures['macro_f1']:.3f}", f"mean of {len(figures['per_class'])} classes, validation"),
        Fact("Calibration error", f"{figures['ece']:.3f}", "expected, 15 bins, validation"),
    ]


def progress(run: RunData) -> list[Fact]:
    """Return how far the run came."""
    facts = []
    try:
        best = max(run.log, key=lambda record: record.get("val_accuracy", record["epoch"]))
        state = "finished" if run.finished else "not finished: the figures are those of the best epoch so far"
        facts.append(
            Fact("Epochs", f"{run.log[-1]['epoch']} of {run.plan.epochs:.0f}", f"{state}; best: {best['epoch']}")
        )
    except (FerLmdbError, PrototxtLikeError, OSError) as error:
        facts.append(Fact("Epochs", "none", str(error)))
    return facts


def recorded_test_fact(test: dict[str, Any] | None) -> list[Fact]:
    """Return a test figure that was recorded before, where there is one."""
    if test is None:
        return []
    low, high = test["ci95"]
    note = f"{interval_note(low, high, test)}; quoted from the run's record, on {test['data']}, not measured here"
    return [Fact("Accuracy on test", f"{test['accuracy']:.2%}", note)]


def interval_note(low: float, high: float, figures: dict[str, Any]) -> str:
    """Return what an accuracy rests on."""
    views = "one view" if figures["tta"] == 1 else f"{figures['tta']} views"
    return f"95 % interval {low:.1%} to {high:.1%}, N = {figures['n']:,}, {views}"


def setup_facts(run: RunData) -> list[Fact]:
    """Return what the run rests on."""
    facts = [Fact("Seed", str(run.seed), "decides weights, order, crops and dropout")]
    versions = run.config.get("versions", {})
    with suppress(FerLmdbError, OSError):  # the parts that need the model say why it is missing
        facts.append(Fact("Parameters", f"{run.model.parameters:,}", f"of {run.model.name}"))
    counts = run.config["data"].get("counts", {})
    facts.append(Fact("Trained on", f"{run.config['epoch_size']:,} faces", f"split {run.options.get('train_splits')}"))
    if run.has_validation:
        facts.append(Fact("Validated on", f"{counts.get('val', 0):,} faces", "split val"))
    if versions:
        note = ", ".join(f"{name} {value}" for name, value in versions.items() if name != "fer-lmdb")
        facts.append(Fact("Made with", f"fer-lmdb {versions.get('fer-lmdb', '?')}", note))
    return facts
