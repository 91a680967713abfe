"""Matplotlib figures of training runs, data sets and evaluations; no display is needed.

Text and axes are pure black, which the HTML report replaces by its text color (dark mode). `BLACK_ON_LIGHT` is for text
on light surfaces and is not replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from fer_lmdb.visualization.colors import color_of, hex_of

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
BLACK_ON_LIGHT = "#111111"
MARKER_LIMIT = 30
"""Maximum number of epochs drawn with markers; a single epoch would be invisible as a line."""

Log = Sequence[Mapping[str, Any]]


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Plot a confusion matrix: percentage of the true class as color and number, count below.

    Args:
        matrix: (C, C) counts; rows are true classes, columns predictions.
        classes: Class names in label order.
        title: Figure title.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    fractions = matrix / np.maximum(totals, 1)
    figure = Figure(figsize=(1.1 + 0.6 * len(classes), 1.0 + 0.55 * len(classes)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for (row, column), fraction in np.ndenumerate(fractions):
        color = "white" if fraction > 0.55 else BLACK_ON_LIGHT
        axes.text(column, row - 0.14, f"{fraction:.0%}", ha="center", va="center", color=color, fontsize=9)
        count = f"{int(matrix[row, column]):,}"
        axes.text(column, row + 0.24, count, ha="center", va="center", color=color, fontsize=7)
    return figure


def curves_figure(log: Log, title: str = "") -> Figure:
    """Plot loss, accuracy and learning rate per epoch of a run, side by side."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for axes, draw in zip(figure.subplots(1, 3), (draw_loss, draw_accuracy, draw_learning_rate), strict=True):
        draw(axes, log)
    figure.suptitle(title)
    return figure


def single_figure(draw: Callable[..., None], *given: Any, width: float = 4.6, height: float = 3.3) -> Figure:
    """Return a figure with one plot.

    Args:
        draw: Function of this module that draws on axes.
        given: Its arguments after the axes.
        width: Width in inches.
        height: Height in inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.subplots(), *given)
    return figure


def draw_loss(axes: Axes, log: Log) -> None:
    """Plot training loss and, if available, validation loss."""
    _draw_curve(axes, log, "train_loss", BLUE, label="train")
    if _has(log, "val_loss"):
        _draw_curve(axes, log, "val_loss", VERMILLION, label="validation", linestyle="--")
    axes.set_title("loss")
    axes.legend(frameon=False)


def draw_accuracy(axes: Axes, log: Log) -> None:
    """Plot validation accuracy and mark the first epoch with the best one."""
    axes.set_title("validation accuracy, %")
    if not _has(log, "val_accuracy"):
        axes.text(0.5, 0.5, "no validation", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    _draw_curve(axes, log, "val_accuracy", VERMILLION, factor=100)
    best = max((record for record in log if "val_accuracy" in record), key=lambda record: record["val_accuracy"])
    value = 100 * best["val_accuracy"]
    axes.plot([best["epoch"]], [value], "o", markersize=8, markerfacecolor="none", markeredgecolor=VERMILLION)
    axes.plot(
        [], [], "o", markerfacecolor="none", color=VERMILLION, label=f"best: {value:.1f} in epoch {best['epoch']}"
    )
    axes.legend(frameon=False, loc="lower right")


def draw_learning_rate(axes: Axes, log: Log) -> None:
    """Plot the learning rate, on a logarithmic axis if it decreases by more than half."""
    rates = [record["lr"] for record in log]
    _draw_curve(axes, log, "lr", GREEN, drawstyle="steps-post")
    axes.set_title("learning rate")
    if min(rates) > 0 and max(rates) > 2 * min(rates):
        axes.set_yscale("log")
        for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            set_formatter(LogFormatter())  # the default makes formulas, and figures draw texts literally
    else:
        axes.set_ylim(0, 1.25 * max(rates) or 1)


def draw_distribution(axes: Axes, split: str, facts: Mapping[str, Any]) -> None:
    """Plot the number of faces per class of one split.

    Args:
        axes: Axes to draw on.
        split: Name of the split.
        facts: Manifest entry of the split, with count and per_class.
    """
    names, counts = list(facts["per_class"]), list(facts["per_class"].values())
    colors = [hex_of(color_of(name)) for name in names]
    bars = axes.bar(range(len(names)), counts, color=colors, edgecolor="black", linewidth=0.5)
    axes.bar_label(bars, [f"{count:,}\n{count / max(facts['count'], 1):.0%}" for count in counts], fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_title(f"{split}: {facts['count']:,} faces")
    axes.margins(y=0.18)
    despine(axes)
    axes.yaxis.set_major_formatter("{x:,.0f}")


def batch_accuracy_figure(accuracies: Mapping[str, Any], title: str) -> Figure:
    """Plot accuracy per batch, the accuracy on all faces and the best batch.

    Args:
        accuracies: Result of `fer_lmdb.evaluation.batch_accuracy.batch_accuracies`.
        title: Figure title.
    """
    values = 100 * np.array(accuracies["accuracies"])
    overall = 100 * accuracies["accuracy"]
    best = int(values.argmax())
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    batches = np.arange(1, len(values) + 1)
    axes.vlines(batches, overall, values, color="#C9D6E6")
    axes.plot(batches, values, "o", color="#5B7DA8", markersize=5)
    axes.plot(batches[best], values[best], "o", color=VERMILLION, markersize=8)
    axes.axhline(overall, color=BLUE, linewidth=1.5)
    axes.text(len(values) + 0.8, overall, f"all faces\n{overall:.1f} %", color=BLUE, va="center")
    axes.annotate(
        f"best batch {values[best]:.0f} %", (best + 1, values[best]), (0, 7), textcoords="offset points",
        ha="center", color=VERMILLION,
    )  # fmt: skip
    axes.set(xlabel=f"batch of {accuracies['size']} faces", ylabel="accuracy, %", title=title)
    axes.set_xlim(0.2, len(values) + 0.8)
    axes.set_ylim(max(0, values.min() - 4), min(106, values.max() + 4))
    despine(axes)
    return figure


def despine(axes: Axes) -> None:
    """Hide the upper and right spines."""
    axes.spines[["top", "right"]].set_visible(False)


def _has(log: Log, key: str) -> bool:
    return any(key in record for record in log)


def _draw_curve(axes: Axes, log: Log, key: str, color: str, factor: float = 1, **style: Any) -> None:
    epochs = [record["epoch"] for record in log]
    marker = "." if len(log) <= MARKER_LIMIT else ""
    axes.plot(epochs, [factor * record.get(key, np.nan) for record in log], color=color, marker=marker, **style)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    despine(axes)
