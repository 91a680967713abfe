"""Metrics as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def format_accuracy(metrics: Mapping[str, Any], *, interval: bool = False) -> str:
    """Return an accuracy with what it was measured on.

    Args:
        metrics: accuracy, n and tta; ci95 if `interval` is True.
        interval: Whether to include the 95 % interval.

    Returns:
        For example "70.44%, N = 3,589, 1 view" or "70.44% (95 % interval 68.92% to 71.91%), N = 3,589, 1 view".
    """
    text = f"{metrics['accuracy']:.2%}"
    if interval:
        text += f" ({format_interval(metrics)})"
    return f"{text}, N = {metrics['n']:,}, {format_views(metrics.get('tta', 1))}"


def format_interval(metrics: Mapping[str, Any]) -> str:
    """Return the interval of an accuracy, e.g. "95 % interval 68.92% to 71.91%"."""
    low, high = metrics["ci95"]
    return f"95 % interval {low:.2%} to {high:.2%}"


def format_views(count: int) -> str:
    """Return the number of TTA views, e.g. "1 view" or "10 views"."""
    return "1 view" if count == 1 else f"{count} views"


def format_models(models: Sequence[str]) -> str:
    """Return the names of up to three models, or the number and the first and last of more."""
    return " + ".join(models) if len(models) <= 3 else f"{len(models)} models, {models[0]} to {models[-1]}"
