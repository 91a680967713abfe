"""Reduce-on-plateau and early stopping, derived from the epoch log.

Since both depend on the log only, a resumed run makes the same decisions as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import prototxt_like as pl
from fer_lmdb.choices import MONITORS
from fer_lmdb.errors import RunError

"""Value of the solver field monitor -> key of the epoch log."""


def validate_early_stopping(solver: pl.SolverParameter, *, has_validation: bool) -> None:
    """Check the fields of plateau and early stopping.

    Raises:
        RunError: If the patience is negative, the monitor is unknown, or there is no validation split.
    """
    if solver.early_stop_patience < 0:
        raise RunError(f"early_stop_patience is {solver.early_stop_patience}; it must be 0 (off) or more")
    if not (solver.lr_policy == "plateau" or solver.early_stop_patience):
        return
    if solver.monitor not in MONITORS:
        raise RunError(f'monitor is "{solver.monitor}"; expected one of {", ".join(MONITORS)}')
    if not has_validation:
        raise RunError(
            "lr_policy plateau and early stopping require a validation split; "
            "use --train-splits train and a data set with a val split"
        )


def count_lr_reductions(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> int:
    """Return the number of reductions of the learning rate so far under lr_policy plateau."""
    reductions, best, waited = 0, float("inf"), 0
    for value in _monitored_values(solver, log):
        if value < best - solver.min_delta:
            best, waited = value, 0
            continue
        waited += 1
        if waited >= solver.plateau_patience:
            reductions, waited = reductions + 1, 0
    return reductions


def should_stop(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> bool:
    """Return whether early_stop_patience epochs have passed without improvement."""
    if not solver.early_stop_patience:
        return False
    best, waited = float("inf"), 0
    for value in _monitored_values(solver, log):
        best, waited = (value, 0) if value < best - solver.min_delta else (best, waited + 1)
    return waited >= solver.early_stop_patience


def _monitored_values(solver: pl.SolverParameter, log: Sequence[dict[str, Any]]) -> list[float]:
    """Return the monitored metric per epoch, negated if higher is better."""
    sign = -1 if solver.monitor == "accuracy" else 1
    return [sign * record[MONITORS[solver.monitor]] for record in log]
