"""The report of a run: how it went, how its model does on validation, what it saw and learnt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import prototxt_like as pl
from fer_lmdb.errors import FerLmdbError, RunError
from fer_lmdb.reporting import evaluation_section as verdicts
from fer_lmdb.reporting import network_section as network
from fer_lmdb.reporting.dataset_report import distribution
from fer_lmdb.reporting.elements import Chart, Element, Missing, Report, Section, Text, try_element
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.reporting.samples import samples
from fer_lmdb.reporting.summary_section import facts_of, find_metrics, quoted_test
from fer_lmdb.visualization.plots import draw_accuracy, draw_learning_rate, draw_loss, single_figure

CURVES = {
    "loss": ("Loss", draw_loss),
    "accuracy": ("Accuracy", draw_accuracy),
    "rate": ("Learning rate", draw_learning_rate),
}


def report_run(run: RunData, seed: int = 0) -> Report:
    """Put together the report of a run.

    Args:
        run: its folder and data set.
        seed: which samples are shown.
    Raises:
        RunError: this is no run folder, or its run.json is damaged.
    """
    options = run.config["options"]
    figures, classes, source = find_metrics(run)
    sections = [
        Section("Training", curves(run)),
        Section(
            "Validation",
            [
                *evaluation_section(run, figures, classes, source),
                try_element("Most confident errors", lambda: verdicts.top_errors(run.validation, classes)),
            ],
            halves=True,
        ),
        Section("What the net sees and looks for", network_section(run)),
        Section("The data", data_section(run, seed)),
        Section("How it was made", recipe_texts(run)),
    ]
    subtitle = (
        f"{options.get('model', 'a net')}, trained on {run.config['data'].get('source', {}).get('name', 'a data set')}"
    )
    summary = {"figures": figures, "source": source, "seed": run.seed, "test": quoted_test(run)}
    return Report(
        "run", f"Run {run.folder.path.resolve().name}", subtitle, facts_of(run, figures, source), sections, summary
    )


def curves(run: RunData) -> list[Element]:
    """Draw loss, accuracy and rate over the epochs."""

    def make(name: str) -> Chart:
        title, draw = CURVES[name]
        if name == "accuracy" and not any("val_accuracy" in record for record in run.log):
            raise RunError("this run did not validate")
        val = run.config["data"].get("counts", {}).get("val", 0) if run.has_validation else 0
        rests_on = f"train N = {run.config['epoch_size']:,}, validation N = {val:,}, seed {run.seed}"
        return Chart(name, title, single_figure(draw, run.log), f"{len(run.log)} epochs; {rests_on}.")

    return [try_element(title, partial(make, name)) for name, (title, _) in CURVES.items()]


def evaluation_section(
    run: RunData, figures: dict[str, Any] | None, classes: Sequence[str], reason: str
) -> list[Element]:
    """Show the figures as charts and as numbers; calibration needs more than recorded figures."""
    if figures is None:
        return [Missing(title, reason) for title in ("Confusion matrix", "Per class", "Calibration")]
    drawn = [verdicts.confusion(figures, classes), verdicts.per_class(figures, classes)]
    calibration = try_element("Calibration", lambda: verdicts.calibration(run.validation))
    return [*drawn, calibration, verdicts.per_class_table(figures, classes)]


def network_section(run: RunData) -> list[Element]:
    """Show the net's input and its first layer."""
    return [
        try_element("An augmented batch", lambda: network.augmented(run)),
        try_element("The mean face", lambda: network.mean_face(run.model.mean)),
        try_element("Filters of the first layer", lambda: network.filters(run.model)),
    ]


def data_section(run: RunData, seed: int) -> list[Element]:
    """Show what the run was trained on."""
    try:
        manifest = run.data_set.manifest
    except (FerLmdbError, OSError) as error:
        charts: list[Element] = [Missing("Distribution", str(error))]
    else:
        charts = list(distribution(manifest))
    return [
        *charts,
        try_element("Samples of every class", lambda: samples(run.train, run.data_set.scheme.classes, seed)),
    ]


def recipe_texts(run: RunData) -> list[Element]:
    """Show the solver and the net as they ran."""

    def text(name: str, part: str) -> Text:
        return Text(name, pl.to_text(getattr(run.plan, part)))

    files = {"solver.prototxt": "solver", "train_val.prototxt": "net"}
    return [try_element(name, partial(text, name, part)) for name, part in files.items()]
