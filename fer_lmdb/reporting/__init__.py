"""A run or a data set as pictures and one page.

run.json / manifest.json ──▶ parts (charts, faces, tables, what is missing) ──▶ PNG, SVG, index.html, report.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import FILE_NAME
from fer_lmdb.errors import SourceError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.models.run_folder import RunFolder, resolve_run
from fer_lmdb.reporting.dataset_report import report_data_set
from fer_lmdb.reporting.elements import Report
from fer_lmdb.reporting.figure_files import write_files
from fer_lmdb.reporting.html import render
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.reporting.run_report import report_run

__all__ = ["artifact_kind", "report", "write"]

PAGE = "index.html"
DOCUMENT = "report.json"


def artifact_kind(path: str | Path) -> tuple[str, Path]:
    """Tell what a report would be about.

    Args:
        path: a data set folder, a run folder, or the name of a run below runs/.
    Returns:
        "data set" or "run", and its folder.
    Raises:
        SourceError: neither of the two.
    """
    if (Path(path) / FILE_NAME).is_file():
        return "data set", Path(path)
    run = resolve_run(path)
    if run.config.is_file():
        return "run", run.path
    raise SourceError(
        f"{path} is neither a run (it has no run.json) nor a data set (it has no {FILE_NAME});"
        " give the folder that fer-lmdb train or fer-lmdb build has written"
    )


def report(
    path: str | Path,
    *,
    data: Path | None = None,
    faces: bool = False,
    source: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Report:
    """Put together the report of a run or a data set; nothing is written.

    Args:
        path: a data set folder, a run folder, or the name of a run below runs/.
        data: of a run, where its data set lies; None looks where the run says.
        faces: of a data set, show the contact sheet as well.
        source: of a data set, the csv or folder that it was built from; None looks beside it.
        seed: which faces are shown where not all are.
        device: auto, cpu or cuda.
    Raises:
        SourceError: neither run nor data set, or `source` is missing or another one.
        RunError, DataSetError: run.json or the manifest is damaged, or `data` is not the run's.
    """
    kind, folder = artifact_kind(path)
    if kind == "run":
        material = RunData(RunFolder(folder), data, device)
        if data is not None:
            _ = material.data_set  # what the user named has to fit; what the run names may be gone
        return report_run(material, seed)
    return report_data_set(DataSet.open(folder), faces=faces, source=source, seed=seed)


def write(found: Report, out: Path, command: str) -> dict[str, Any]:
    """Write a report's folder; it appears whole, and takes the place of an older report.

    Args:
        found: the report.
        out: the folder.
        command: what was typed, for the page.
    Returns:
        the document that report.json holds: kind, title, page, files, missing and the figures.
    Raises:
        DataSetError: the folder holds something else, or cannot be written.
    """
    with atomic_directory(out, force=True, marker=DOCUMENT) as folder:
        files = write_files(found, folder)
        (folder / PAGE).write_text(render(found, command), encoding="utf-8")
        missing = {title: reason for reason, titles in found.missing().items() for title in titles}
        document = {"kind": found.kind, "title": found.title, "files": files, "missing": missing, **found.figures}
        (folder / DOCUMENT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return {"report": str(out / PAGE), **document}
