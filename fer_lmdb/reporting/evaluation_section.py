"""How a model did on the validation split: confusion, figures per class, calibration, the most confident errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_lmdb.reporting.charts import calibration_figure, draw_per_class
from fer_lmdb.reporting.elements import Chart, Group, ImageGrid, TableElement, Tile
from fer_lmdb.reporting.run_data import ValidationResult
from fer_lmdb.visualization.plots import confusion_figure, single_figure

ERRORS_SHOWN = 24


def confusion(figures: Mapping[str, Any], classes: Sequence[str]) -> Chart:
    """Draw the confusion matrix of figures as `evaluate` gives them."""
    figure = confusion_figure(np.array(figures["confusion"]), classes, "confusion matrix, validation")
    caption = (
        f"Validation split, N = {figures['n']:,}. Rows are true classes;"
        " each cell has its percentage of the row and its count."
    )
    return Chart("confusion", "Confusion matrix", figure, caption)


def per_class(figures: Mapping[str, Any], classes: Sequence[str]) -> Chart:
    """Draw precision, recall and F1 of every class."""
    figure = single_figure(draw_per_class, figures, classes, height=0.7 + 0.58 * len(classes))
    caption = f"Validation split, N = {figures['n']:,}; lines: Wilson's 95 % intervals of precision and recall."
    return Chart("per-class", "Per class", figure, caption)


def per_class_table(figures: Mapping[str, Any], classes: Sequence[str]) -> TableElement:
    """List the same figures."""
    rows = []
    for name in classes:
        own = figures["per_class"][name]
        shares = [f"{own[key]:.1%}" for key in ("precision", "recall")]
        rows.append([name, f"{own['n']:,}", *shares, f"{own['f1']:.3f}"])
    means = [f"{figures[f'macro_{key}']:.1%}" for key in ("precision", "recall")]
    rows.append(["mean", f"{figures['n']:,}", *means, f"{figures['macro_f1']:.3f}"])
    caption = f"Validation split, N = {figures['n']:,}."
    return TableElement("The same as numbers", ["class", "N", "precision", "recall", "F1"], rows, caption)


def calibration(validation: ValidationResult) -> Chart:
    """Draw the reliability diagram."""
    figures = validation.figures
    figure = calibration_figure(validation.probabilities, validation.faces.labels)
    caption = (
        f"Expected calibration error {figures['ece']:.3f} (15 bins of equal width), validation split,"
        f" N = {figures['n']:,}; lines: Wilson's 95 % intervals. Points below the diagonal: too sure of itself."
    )
    return Chart("calibration", "Calibration", figure, caption)


def top_errors(validation: ValidationResult, classes: Sequence[str]) -> ImageGrid:
    """Show the errors of which the model was surest, with label, prediction and where the face comes from."""
    probabilities, faces = validation.probabilities, validation.faces
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != faces.labels)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:ERRORS_SHOWN]
    tiles = []
    for index in chosen:
        prediction = f"→ {classes[predicted[index]]} {confidence[index]:.0%}"
        name = os.path.basename(faces.keys[index])  # noqa: PTH119 - a key is no path
        tiles.append(Tile(faces.images[index, 0], (classes[faces.labels[index]], prediction, name)))
    caption = (
        f"The {len(tiles)} of {len(wrong):,} errors on the validation split (N = {len(faces.labels):,}) with the"
        " highest confidence: label, → prediction, name in the data set. Look for wrong labels among them."
    )
    return ImageGrid("wrong-faces", "Most confident errors", [Group("", tiles)], caption, width=118)
