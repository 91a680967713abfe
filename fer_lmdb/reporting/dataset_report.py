"""Report of a data set: distribution, samples, detection rates and preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.evaluation.metrics import wilson_interval
from fer_lmdb.reporting.contact_section import contact, train_detections
from fer_lmdb.reporting.elements import Chart, Element, Fact, Page, Section, TableElement, Text, try_element
from fer_lmdb.reporting.samples import class_means, samples
from fer_lmdb.reporting.source_images import check_source, find_source
from fer_lmdb.visualization.plots import draw_distribution, single_figure
from prototxt_like.io.datum_store import SplitArrays

COLUMNS = {
    "count": "faces",
    "detected": "detected",
    "unaligned": "unaligned",
    "dropped": "dropped",
    "unreadable": "unreadable",
}
RATE_COLUMNS = ("detection rate", "95 % interval")


def report_data_set(data_set: DataSet, *, faces: bool = False, source: Path | None = None, seed: int = 0) -> Page:
    """Create the report of a data set.

    Args:
        data_set: Data set.
        faces: Whether to show the contact sheet.
        source: Csv or image folder that the data set was built from; None searches for it.
        seed: Seed for the selection of shown faces.

    Raises:
        DataSetError, StoreError: If the train split is missing or damaged.
        SourceError: If `source` is missing or does not match the data set.
    """
    manifest, classes = data_set.manifest, data_set.scheme.classes
    if source is not None:
        source = check_source(source, manifest)
    elif faces:
        source = find_source(data_set.folder, manifest)
    train = data_set.read("train")
    sections = [
        Section("Distribution", distribution(manifest)),
        Section("Faces", [samples(train, classes, seed), class_means(train, classes)]),
    ]
    if manifest.get("detector") != "none":
        sections.append(Section("Detection", detection(data_set, train)))
    if faces:
        sheet = try_element("Contact sheet", lambda: contact(data_set, train, source, seed))
        sections.append(Section("Contact sheet", [sheet]))
    sections.append(Section("Configuration", [configuration(manifest)]))
    return Page(
        "data set",
        f"Data set {data_set.folder.resolve().name}",
        f"built from {manifest.get('source', {}).get('name', 'an unknown source')}",
        summary_facts(data_set),
        sections,
        {"splits": manifest["splits"], "classes": list(classes), "seed": manifest["seed"]},
    )


def distribution(manifest: Mapping[str, Any]) -> list[Element]:
    """Draw the number of faces per class, one chart per split."""
    return [
        Chart(
            f"distribution-{split}",
            split,
            single_figure(draw_distribution, split, entry),
            f"{split} split, N = {entry['count']:,}: faces per class and fraction of the split.",
        )
        for split, entry in manifest["splits"].items()
        if entry.get("per_class")
    ]


def detection(data_set: DataSet, train: SplitArrays) -> list[Element]:
    """Show the detection rates per split and, for the train split, per class."""
    rows = []
    for split, entry in data_set.manifest["splits"].items():
        images = entry["count"] + entry.get("dropped", 0)
        counts = [f"{entry.get(key, 0):,}" for key in COLUMNS]
        rows.append([split, *counts, *_rate(entry.get("detected", 0), images)])
    table = TableElement("Per split", ["split", *COLUMNS.values(), *RATE_COLUMNS], rows)
    return [table, try_element("Per class", lambda: detection_per_class(data_set, train))]


def detection_per_class(data_set: DataSet, train: SplitArrays) -> TableElement:
    """Show the detection rates of the train split per class."""
    records, _ = train_detections(data_set, len(train.labels))
    detected = np.array([record["box"] is not None for record in records], bool)
    rows = []
    for label, name in enumerate(data_set.scheme.classes):
        own = detected[train.labels == label]
        rows.append([name, f"{len(own):,}", f"{own.sum():,}", *_rate(int(own.sum()), len(own))])
    head = ["class", "faces", "detected", *RATE_COLUMNS]
    return TableElement("Per class", head, rows, "Train split, without dropped images.")


def configuration(manifest: Mapping[str, Any]) -> Text:
    """Show preprocessing, options and source of the data set."""
    fields = dict(manifest["preprocessing"])
    fields |= {key: manifest.get(key) for key in ("on_no_face", "encoding", "seed", "scheme")}
    fields |= {f"source {key}": value for key, value in manifest.get("source", {}).items()}
    return Text("Preprocessing and source", "\n".join(f"{key}: {value}" for key, value in fields.items()))


def summary_facts(data_set: DataSet) -> list[Fact]:
    """Return the summary."""
    manifest, scheme = data_set.manifest, data_set.scheme
    detector = manifest.get("detector", "none")
    return [
        *(Fact(split, f"{entry['count']:,}", "faces") for split, entry in manifest["splits"].items()),
        Fact("Classes", str(len(scheme)), f"scheme {scheme.name}"),
        Fact("Size", f"{manifest['size']} x {manifest['size']}", "pixels, gray"),
        Fact("Detector", str(detector), f"alignment: {manifest.get('align') or 'none'}"),
        Fact("Seed", str(manifest["seed"]), "order of the faces"),
    ]


def _rate(hits: int, count: int) -> tuple[str, str]:
    """Return a rate and its 95 % interval as text."""
    if not count:
        return "-", "-"
    low, high = wilson_interval(hits, count)
    return f"{hits / count:.1%}", f"{low:.1%} to {high:.1%}"
