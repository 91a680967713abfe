"""Validation results: confusion matrix, metrics per class, calibration, most confident errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_lmdb.io.pixels import from_planes
from fer_lmdb.reporting.charts import calibration_figure, draw_per_class
from fer_lmdb.reporting.elements import Chart, Group, ImageGrid, TableElement, Tile
from fer_lmdb.reporting.run_data import ValidationResult
from fer_lmdb.visualization.plots import confusion_figure, single_figure

ERRORS_SHOWN = 24


def confusion(metrics: Mapping[str, Any], classes: Sequence[str]) -> Chart:
    """Draw the confusion matrix.

    Args:
        metrics: Metrics as returned by `evaluate`.
        classes: Class names in label order.
    """
    figure = confusion_figure(np.array(metrics["confusion"]), classes, "confusion matrix, validation")
    caption = (
        f"Validation split, N = {metrics['n']:,}. Rows are true classes;"
        " cells contain the percentage of the row and the count."
    )
    return Chart("confusion", "Confusion matrix", figure, caption)


def per_class(metrics: Mapping[str, Any], classes: Sequence[str]) -> Chart:
    """Draw precision, recall and F1 per class."""
    figure = single_figure(draw_per_class, metrics, classes, height=0.7 + 0.58 * len(classes))
    caption = f"Validation split, N = {metrics['n']:,}; lines: 95 % Wilson intervals of precision and recall."
    return Chart("per-class", "Per class", figure, caption)


def per_class_table(metrics: Mapping[str, Any], classes: Sequence[str]) -> TableElement:
    """List precision, recall and F1 per class."""
    rows = []
    for name in classes:
        own = metrics["per_class"][name]
        rows.append([name, f"{own['n']:,}", f"{own['precision']:.1%}", f"{own['recall']:.1%}", f"{own['f1']:.3f}"])
    means = [f"{metrics[f'macro_{key}']:.1%}" for key in ("precision", "recall")]
    rows.append(["mean", f"{metrics['n']:,}", *means, f"{metrics['macro_f1']:.3f}"])
    caption = f"Validation split, N = {metrics['n']:,}."
    return TableElement("Metrics per class", ["class", "N", "precision", "recall", "F1"], rows, caption)


def calibration(validation: ValidationResult) -> Chart:
    """Draw the reliability diagram."""
    metrics = validation.metrics
    figure = calibration_figure(validation.probabilities, validation.faces.labels)
    caption = (
        f"Expected calibration error {metrics['ece']:.3f} (15 bins of equal width), validation split,"
        f" N = {metrics['n']:,}; lines: 95 % Wilson intervals. Points below the diagonal: overconfident."
    )
    return Chart("calibration", "Calibration", figure, caption)


def top_errors(validation: ValidationResult, classes: Sequence[str]) -> ImageGrid:
    """Show the errors with the highest confidence, with label, prediction and name."""
    probabilities, faces = validation.probabilities, validation.faces
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != faces.labels)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:ERRORS_SHOWN]
    tiles = []
    for index in chosen:
        prediction = f"→ {classes[predicted[index]]} {confidence[index]:.0%}"
        name = os.path.basename(faces.keys[index])  # noqa: PTH119 - a key is not a path
        tiles.append(Tile(from_planes(faces.images[index]), (classes[faces.labels[index]], prediction, name)))
    caption = (
        f"The {len(tiles)} most confident of {len(wrong):,} errors on the validation split"
        f" (N = {len(faces.labels):,}): label, → prediction, name in the data set. Some of them may be wrong labels."
    )
    return ImageGrid("wrong-faces", "Most confident errors", [Group("", tiles)], caption, width=118)
