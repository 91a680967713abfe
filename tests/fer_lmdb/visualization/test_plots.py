"""Figures of runs and data sets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from fer_lmdb.labels import FER2013, FERPLUS
from fer_lmdb.visualization import plots

LOG = [
    {"epoch": 1, "lr": 0.01, "train_loss": 1.5, "val_loss": 1.6, "val_accuracy": 0.4},
    {"epoch": 2, "lr": 0.01, "train_loss": 1.2, "val_loss": 1.3, "val_accuracy": 0.6},
    {"epoch": 3, "lr": 0.001, "train_loss": 1.1, "val_loss": 1.4, "val_accuracy": 0.5},
]
UNTESTED = [{key: value for key, value in record.items() if not key.startswith("val")} for record in LOG]


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """Return pairs of texts of a figure that overlap by more than two pixels."""
    figure.draw_without_rendering()
    boxes = []
    for axes in figure.axes:
        texts = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.title, axes.xaxis.label]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        boxes += [(text.get_text(), text) for text in texts if text.get_text() and text.get_visible()]
    horizontal = [(words, text.get_window_extent().padded(-1)) for words, text in boxes if not text.get_rotation()]
    return [(one, other) for (one, a), (other, b) in combinations(horizontal, 2) if a.overlaps(b)]


def test_a_confusion_matrix_has_percentages_of_the_row_and_counts() -> None:
    figure = plots.confusion_figure(np.array([[3, 1], [0, 1200]]), ("sad", "happy"), "validation")
    assert [text.get_text() for text in figure.axes[0].texts] == ["75%", "3", "25%", "1", "0%", "0", "100%", "1,200"]


@pytest.mark.parametrize("classes", [FER2013.classes, FERPLUS.classes])
def test_texts_do_not_overlap(classes: tuple[str, ...]) -> None:
    matrix = np.full((len(classes), len(classes)), 1234)
    facts = {"count": 71234 * len(classes), "per_class": dict.fromkeys(classes, 71234)}
    assert overlapping_texts(plots.confusion_figure(matrix, classes, "validation")) == []
    assert overlapping_texts(plots.single_figure(plots.draw_distribution, "train", facts)) == []
    assert overlapping_texts(plots.curves_figure(LOG, "a run")) == []


def test_the_best_epoch_is_marked_and_a_decreasing_learning_rate_is_logarithmic() -> None:
    figure = plots.curves_figure(LOG)
    figure.canvas.draw()
    loss, accuracy, rate = figure.axes
    assert [line.get_label() for line in loss.lines] == ["train", "validation"]
    assert accuracy.get_legend().get_texts()[0].get_text() == "best: 60.0 in epoch 2"
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [40, 60, 50])
    assert rate.get_yscale() == "log"
    labels = [label.get_text() for which in ("major", "minor") for label in rate.get_yticklabels(which=which)]
    assert any(labels)
    assert "$" not in "".join(labels)  # a formula, whereas texts are drawn literally


def test_without_validation_only_training_is_plotted() -> None:
    loss, accuracy, rate = plots.curves_figure(UNTESTED[:2]).axes
    assert [line.get_label() for line in loss.lines] == ["train"]
    assert accuracy.texts[0].get_text() == "no validation"
    assert (rate.get_yscale(), rate.get_ylim()[0]) == ("linear", 0)


def test_the_bars_of_a_distribution_are_the_counts() -> None:
    facts = {"count": 4, "per_class": {"sad": 1, "happy": 3}}
    axes = plots.single_figure(plots.draw_distribution, "val", facts).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1, 3]
    assert axes.texts[1].get_text() == "3\n75%"
