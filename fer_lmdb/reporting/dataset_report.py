"""The report of a data set: how many faces of which class, what they look like, where they were found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.evaluation.metrics import wilson_interval
from fer_lmdb.reporting.contact_section import contact, read_detections
from fer_lmdb.reporting.elements import Chart, Element, Fact, Report, Section, TableElement, Text, try_element
from fer_lmdb.reporting.samples import class_means, samples
from fer_lmdb.reporting.source_images import check_source, find_source
from fer_lmdb.visualization.plots import draw_distribution, single_figure

COLUMNS = {
    "count": "faces",
    "detected": "face found",
    "unaligned": "kept as they are",
    "dropped": "left out",
    "unreadable": "unreadable",
}


def report_data_set(data_set: DataSet, *, faces: bool = False, source: Path | None = None, seed: int = 0) -> Report:
    """Put together the report of a data set.

    Args:
        data_set: the folder that `build` wrote.
        faces: show the contact sheet.
        source: the csv or folder that the data set was built from; None looks beside it.
        seed: which faces are shown.
    Raises:
        DataSetError, StoreError: the train split is missing or damaged.
        SourceError: `source` is missing, or not what the data set was built from.
    """
    manifest = data_set.manifest
    place = check_source(source, manifest) if source else find_source(data_set.folder, manifest) if faces else None
    train = data_set.read("train")
    classes = data_set.scheme.classes
    looks = [samples(train, classes, seed), class_means(train, classes)]
    sections = [Section("Distribution", distribution(manifest)), Section("Faces", looks)]
    if manifest.get("detector") != "none":
        sections.append(Section("Detection", detection(data_set, train)))
    if faces:
        title = "Contact sheet"
        sections.append(Section(title, [try_element(title, lambda: contact(data_set, train, place, seed))]))
    sections.append(Section("How it was made", [origin(manifest)]))
    name = data_set.folder.resolve().name
    subtitle = f"built from {manifest.get('source', {}).get('name', 'an unknown source')}"
    summary = {"splits": manifest["splits"], "classes": list(classes), "seed": manifest["seed"]}
    return Report("data set", f"Data set {name}", subtitle, facts_of(data_set), sections, summary)


def distribution(manifest: Mapping[str, Any]) -> list[Element]:
    """Draw how many faces every class has in each split."""
    return [
        Chart(
            f"distribution-{split}",
            split,
            single_figure(draw_distribution, split, facts),
            f"{split} split, N = {facts['count']:,}: faces of every class and their part of the split.",
        )
        for split, facts in manifest["splits"].items()
        if facts.get("per_class")
    ]


def detection(data_set: DataSet, train: SplitArrays) -> list[Element]:
    """Tell in how many pictures a face was found."""
    splits = data_set.manifest["splits"]
    rows = []
    for split, facts in splits.items():
        looked_at = facts["count"] + facts.get("dropped", 0)
        rows.append(
            [split, *(f"{facts.get(key, 0):,}" for key in COLUMNS), *_share(facts.get("detected", 0), looked_at)]
        )
    table = TableElement("Per split", ["split", *COLUMNS.values(), "found in", "95 % interval"], rows)
    return [table, try_element("Per class", lambda: detection_per_class(data_set, train))]


def detection_per_class(data_set: DataSet, train: SplitArrays) -> TableElement:
    """Tell the same for every class of the train split."""
    kept, _ = read_detections(data_set, len(train.labels))
    found = np.array([record["box"] is not None for record in kept], bool)
    rows = []
    for label, name in enumerate(data_set.scheme.classes):
        own = found[train.labels == label]
        rows.append([name, f"{len(own):,}", f"{own.sum():,}", *_share(int(own.sum()), len(own))])
    head = ["class", "faces", "face found", "found in", "95 % interval"]
    return TableElement("Per class", head, rows, "Train split, without pictures that were left out.")


def origin(manifest: Mapping[str, Any]) -> Text:
    """Show how the faces were made, as the manifest has it."""
    lines = [f"{key}: {value}" for key, value in manifest["preprocessing"].items()]
    kept = {key: manifest.get(key) for key in ("on_no_face", "encoding", "seed", "scheme")}
    source = [f"source {key}: {value}" for key, value in manifest.get("source", {}).items()]
    return Text("Preprocessing and source", "\n".join([*lines, *(f"{k}: {v}" for k, v in kept.items()), *source]))


def facts_of(data_set: DataSet) -> list[Fact]:
    """Return the summary."""
    manifest = data_set.manifest
    splits = manifest["splits"]
    facts = [Fact(split, f"{entry['count']:,}", "faces") for split, entry in splits.items()]
    facts.append(Fact("Classes", str(len(data_set.scheme)), f"scheme {data_set.scheme.name}"))
    facts.append(Fact("Size", f"{manifest['size']} x {manifest['size']}", "pixels, grey"))
    facts.append(
        Fact("Detector", str(manifest.get("detector", "none")), f"alignment: {manifest.get('align') or 'none'}")
    )
    facts.append(Fact("Seed", str(manifest["seed"]), "decides the order of the faces"))
    return facts


def _share(hits: int, count: int) -> tuple[str, str]:
    """Return a share and its interval."""
    if not count:
        return "-", "-"
    low, high = wilson_interval(hits, count)
    return f"{hits / count:.1%}", f"{low:.1%} to {high:.1%}"
