"""When a rate falls on a plateau and when a training stops early.

Both follow from the log alone, so a resumed run decides as an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import prototxt_like as pl
from fer_lmdb.errors import RunError

MONITORED = {"loss": "val_loss", "accuracy": "val_accuracy"}


def validate_early_stopping(solver: pl.SolverParameter, *, has_validation: bool) -> None:
    """Refuse a monitor that does not exist or cannot be seen.

    Raises:
        RunError: a negative patience, an unknown monitor, or plateau or early stopping without validation.
    """
    if solver.early_stop_patience < 0:
        raise RunError(f"early_stop_patience is {solver.early_stop_patience}; give a number of tests, or 0 for never")
    if not (solver.lr_policy == "plateau" or solver.early_stop_patience):
        return
    if solver.monitor not in MONITORED:
        raise RunError(f'monitor is "{solver.monitor}"; it has to be one of: {", ".join(MONITORED)}')
    if not has_validation:
        raise RunError(
            "lr_policy plateau and early stopping look at validation, which this run has not: "
            "train with --train-splits train, or on a data set with a val split"
        )


def count_lr_reductions(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> int:
    """Return how often the policy "plateau" has lowered the rate by now."""
    falls, best, waited = 0, float("inf"), 0
    for value in _monitored_values(solver, log):
        if value < best - solver.min_delta:
            best, waited = value, 0
            continue
        waited += 1
        if waited >= solver.plateau_patience:
            falls, waited = falls + 1, 0
    return falls


def should_stop(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> bool:
    """Tell whether too many tests have passed without a better value."""
    if not solver.early_stop_patience:
        return False
    best, waited = float("inf"), 0
    for value in _monitored_values(solver, log):
        best, waited = (value, 0) if value < best - solver.min_delta else (best, waited + 1)
    return waited >= solver.early_stop_patience


def _monitored_values(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> list[float]:
    """Return the monitored values, lower is better."""
    sign = -1 if solver.monitor == "accuracy" else 1
    return [sign * record[MONITORED[solver.monitor]] for record in log]
