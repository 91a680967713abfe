"""Report of a run: training curves, validation results, network and data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import prototxt_like as pl
from fer_lmdb.errors import FerLmdbError, RunError
from fer_lmdb.reporting.dataset_report import distribution
from fer_lmdb.reporting.elements import Chart, Element, Missing, Page, Section, Text, try_element
from fer_lmdb.reporting.evaluation_section import calibration, confusion, per_class, per_class_table, top_errors
from fer_lmdb.reporting.network_section import augmented_batch, filters, mean_face
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.reporting.samples import samples
from fer_lmdb.reporting.summary_section import find_metrics, recorded_test, summary_facts
from fer_lmdb.visualization.plots import draw_accuracy, draw_learning_rate, draw_loss, single_figure

CURVES = {
    "loss": ("Loss", draw_loss),
    "accuracy": ("Accuracy", draw_accuracy),
    "rate": ("Learning rate", draw_learning_rate),
}


def report_run(run: RunData, seed: int = 0) -> Page:
    """Create the report of a run.

    Args:
        run: Run folder and its data set.
        seed: Seed for the selection of shown faces.

    Raises:
        RunError: If the folder is not a run or its run.json is damaged.
    """
    metrics, classes, source = find_metrics(run)
    data = run.config["data"].get("source", {}).get("name", "a data set")
    sections = [
        Section("Training", training_section(run)),
        Section("Validation", evaluation_section(run, metrics, classes, source), halves=True),
        Section("Network", network_section(run)),
        Section("Data", data_section(run, seed)),
        Section("Configuration", configuration_section(run)),
    ]
    return Page(
        "run",
        f"Run {run.folder.path.resolve().name}",
        f"{run.options.get('model', 'net')}, trained on {data}",
        summary_facts(run, metrics, source),
        sections,
        {"metrics": metrics, "source": source, "seed": run.seed, "test": recorded_test(run)},
    )


def training_section(run: RunData) -> list[Element]:
    """Draw loss, accuracy and learning rate by epoch."""

    def make(name: str) -> Chart:
        title, draw = CURVES[name]
        if name == "accuracy" and not any("val_accuracy" in record for record in run.log):
            raise RunError("the run had no validation split")
        val = run.config["data"].get("counts", {}).get("val", 0) if run.has_validation else 0
        counts = f"train N = {run.config['epoch_size']:,}, validation N = {val:,}, seed {run.seed}"
        return Chart(name, title, single_figure(draw, run.log), f"{len(run.log)} epochs; {counts}.")

    return [try_element(title, partial(make, name)) for name, (title, _) in CURVES.items()]


def evaluation_section(
    run: RunData, metrics: dict[str, Any] | None, classes: Sequence[str], reason: str
) -> list[Element]:
    """Show the validation metrics as charts and as a table, and the most confident errors.

    Args:
        run: Run folder and its data set.
        metrics: Metrics of the validation split; None if they are not available.
        classes: Class names in label order.
        reason: Reason for missing metrics.
    """
    errors = try_element("Most confident errors", lambda: top_errors(run.validation, classes))
    if metrics is None:
        return [*(Missing(title, reason) for title in ("Confusion matrix", "Per class", "Calibration")), errors]
    return [
        confusion(metrics, classes),
        per_class(metrics, classes),
        try_element("Calibration", lambda: calibration(run.validation)),  # needs probabilities, not metrics
        per_class_table(metrics, classes),
        errors,
    ]


def network_section(run: RunData) -> list[Element]:
    """Show the first batch, the mean image and the filters of the first layer."""
    return [
        try_element("Augmented batch", lambda: augmented_batch(run)),
        try_element("Mean face", lambda: mean_face(run.model.mean)),
        try_element("Filters of the first layer", lambda: filters(run.model)),
    ]


def data_section(run: RunData, seed: int) -> list[Element]:
    """Show distribution and samples of the data set."""
    try:
        charts: list[Element] = list(distribution(run.data_set.manifest))
    except (FerLmdbError, OSError) as error:
        charts = [Missing("Distribution", str(error))]
    shown = try_element("Samples per class", lambda: samples(run.train, run.data_set.scheme.classes, seed))
    return [*charts, shown]


def configuration_section(run: RunData) -> list[Element]:
    """Show solver and net of the run."""

    def make(name: str, part: str) -> Text:
        return Text(name, pl.to_text(getattr(run.recipe, part)))

    files = {"solver.prototxt": "solver", "train_val.prototxt": "net"}
    return [try_element(name, partial(make, name, part)) for name, part in files.items()]
