"""Figures that several parts show: drawn with matplotlib, without a screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def confusion_figure(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Draw a confusion matrix: percent of the true class as colour and number, count below.

    Args:
        matrix: (C, C) counts; rows are true classes, columns predictions.
        classes: class names in label order.
        title: written above.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    figure = Figure(figsize=(1.1 + 0.85 * len(classes), 1.0 + 0.75 * len(classes)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else "black"
        text = f"{share:.0%}\n{int(matrix[row, column])}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure


def curves_figure(log: Sequence[dict[str, float]], title: str = "") -> Figure:
    """Draw loss, accuracy and rate over the epochs of a run's log."""
    epochs = [record["epoch"] for record in log]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    loss_axes, accuracy_axes, rate_axes = figure.subplots(1, 3)
    loss_axes.plot(epochs, [record["train_loss"] for record in log], label="train", color="#0072B2")
    loss_axes.plot(epochs, [record.get("val_loss", np.nan) for record in log], label="validation", color="#D55E00")
    loss_axes.set(xlabel="epoch", title="loss")
    loss_axes.legend(frameon=False)
    accuracy = [100 * record.get("val_accuracy", np.nan) for record in log]
    accuracy_axes.plot(epochs, accuracy, color="#D55E00")
    accuracy_axes.set(xlabel="epoch", title="validation accuracy, %")
    rate_axes.plot(epochs, [record["lr"] for record in log], color="#009E73", drawstyle="steps-post")
    rate_axes.set(xlabel="epoch", title="learning rate", yscale="log")
    for axes in (loss_axes, accuracy_axes, rate_axes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.suptitle(title)
    return figure
