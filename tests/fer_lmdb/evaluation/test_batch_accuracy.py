from __future__ import annotations

import numpy as np
import pytest

from fer_lmdb.cli.render_evaluation import histogram
from fer_lmdb.evaluation.batch_accuracy import batch_accuracies, expected_max
from fer_lmdb.evaluation.formatting import format_accuracy, format_models
from fer_lmdb.visualization.plots import batch_accuracy_figure


def test_accuracies_are_those_of_full_batches():
    correct = np.array([1, 1, 0, 0, 1, 1, 1, 1, 0, 0], dtype=bool)
    found = batch_accuracies(correct, size=4)
    assert found["accuracies"] == [0.5, 1.0]
    assert (found["accuracy"], found["max"]) == (0.6, 1.0)


def test_a_split_smaller_than_a_batch_is_one_batch():
    assert batch_accuracies(np.array([True, False]), size=100)["accuracies"] == [0.5]


def test_the_expected_maximum_over_28_batches_of_128_faces_at_70_percent_accuracy_is_78_percent():
    assert f"{expected_max(0.7, 128, 28):.0%}" == "78%"


def test_the_expected_maximum_agrees_with_a_simulation():
    drawn = np.random.default_rng(5).binomial(100, 0.65, size=(20000, 35)).max(axis=1).mean() / 100
    assert expected_max(0.65, 100, 35) == pytest.approx(drawn, abs=0.001)
    assert expected_max(0.65, 100, 1) == pytest.approx(0.65)


def test_the_histogram_counts_every_batch_once():
    lines = histogram([57.0, 58.0, 58.0, 63.9, 60.0])
    assert [line.split()[0] for line in lines] == ["56", "58", "60", "62"]
    assert [line.count("#") for line in lines] == [1, 2, 1, 1]


def test_the_plot_marks_the_best_batch_and_the_accuracy(tmp_path):
    found = batch_accuracies(np.random.default_rng(1).random(900) < 0.7)
    drawn = batch_accuracy_figure(found, "a net, split val")
    texts = [text.get_text() for text in drawn.axes[0].texts]
    assert f"best batch {100 * found['max']:.0f} %" in texts
    assert any(f"{100 * found['accuracy']:.1f} %" in text for text in texts)
    drawn.savefig(tmp_path / "x.png")


def test_many_models_are_listed_by_their_number_and_the_first_and_last():
    assert format_models(["a", "b"]) == "a + b"
    assert format_models(list("abcde")) == "5 models, a to e"


def test_an_accuracy_is_formatted_with_n_interval_and_views():
    metrics = {"accuracy": 0.70437, "ci95": [0.68923, 0.71908], "n": 3589, "tta": 1}
    assert format_accuracy(metrics) == "70.44%, N = 3,589, 1 view"
    expected = "70.44% (95 % interval 68.92% to 71.91%), N = 3,589, 10 views"
    assert format_accuracy({**metrics, "tta": 10}, interval=True) == expected
