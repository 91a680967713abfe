"""Create the report of a run or a data set."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from fer_lmdb.data.caffe_folder import is_caffe_location
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import SourceError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.io.folder_kinds import REPORT
from fer_lmdb.models.artifact_kind import artifact_kind
from fer_lmdb.models.run_folder import RunFolder, resolve_run
from fer_lmdb.ranges import SEED
from fer_lmdb.reporting.dataset_report import report_data_set
from fer_lmdb.reporting.elements import Page
from fer_lmdb.reporting.figure_files import write_files
from fer_lmdb.reporting.html import render
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.reporting.run_report import report_run
from fer_lmdb.runtime.device import check_device_name

PAGE = "index.html"
DOCUMENT = "report.json"


@dataclass(frozen=True)
class Report:
    """Report of a run or a data set.

    Attributes:
        page: Contents.
        folder: Run or data set.
        command: Command line that creates the same report, shown on the page.
    """

    page: Page
    folder: Path
    command: str

    @property
    def missing(self) -> dict[str, str]:
        """Reasons of missing elements, by title."""
        return {title: reason for reason, titles in self.page.missing().items() for title in titles}

    def to_html(self) -> str:
        """Return the page as self-contained HTML."""
        return render(self.page, self.command)

    def to_dict(self) -> dict[str, Any]:
        """Return kind, title, missing elements and summary as a JSON-serializable dict."""
        return {"kind": self.page.kind, "title": self.page.title, "missing": self.missing, **self.page.summary}

    def write(self, out: str | Path | None = None) -> dict[str, Any]:
        """Write index.html, report.json, and each chart as PNG and SVG; an older report in `out` is replaced.

        Args:
            out: Output folder; None for report/ inside the run or data set. Folders of Caffe's tools are not changed;
                their report is written to <name>-report/ in the working directory.

        Returns:
            Contents of report.json with the path of the page as ``report``.

        Raises:
            OutputError: If the folder contains other files.
            DataSetError: If it cannot be written.
        """
        out = _default_folder(self.folder) if out is None else Path(out)
        with atomic_directory(out, kind=REPORT, force=True, inputs=[self.folder]) as folder:
            files = write_files(self.page, folder)
            (folder / PAGE).write_text(self.to_html(), encoding="utf-8")
            document = {"kind": self.page.kind, "title": self.page.title, "files": files, **self.to_dict()}
            (folder / DOCUMENT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return {"report": str(out / PAGE), **document}

    def _repr_html_(self) -> str:
        """Show the page in a notebook."""
        return f'<iframe srcdoc="{escape(self.to_html())}" style="width:100%;height:700px;border:0"></iframe>'


def report(
    path: str | os.PathLike[str] | DataSet,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    faces: bool = False,
    source: str | Path | None = None,
    labels: str | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Report:
    """Create the report of a run or a data set.

    Args:
        path: Run folder, name of a run below runs/, or data set.
        out: Folder to write the report to; None writes nothing, see `Report.write`.
        data: Data set of the run; None for the one recorded in run.json.
        faces: Whether to show the contact sheet of a data set.
        source: Csv or image folder that the data set was built from, for the contact sheet; None searches for it.
        labels: Class names of databases without a manifest, see `DataSet.open`.
        seed: Seed for the selection of shown faces.
        device: "auto", "cpu", "cuda", ...

    Raises:
        OptionError: If the seed is out of range.
        DeviceError: If no device can have this name.
        SourceError: If `path` is neither a run nor a data set, or `source` is missing or does not match.
        RunError, DataSetError: If run.json or the manifest is damaged, or `data` is not the data set of the run.
    """
    SEED.check("seed", seed)
    check_device_name(device)
    kind, folder = resolve_report(path)
    data, source = (None if each is None else Path(each) for each in (data, source))
    if kind == "run":
        run = RunData(RunFolder(folder), data, device)
        if data is not None:
            _ = run.data_set  # an explicit data set must match; a recorded one may be missing
        page = report_run(run, seed)
    else:
        page = report_data_set(DataSet.open(folder, labels), faces=faces, source=source, seed=seed)
    result = Report(page, folder, _command(folder, faces, seed, data=data, source=source))
    if out is not None:
        result.write(out)
    return result


def _default_folder(folder: Path) -> Path:
    return Path(f"{folder.resolve().name}-report") if is_caffe_location(folder) else folder / "report"


def resolve_report(path: str | os.PathLike[str] | DataSet) -> tuple[str, Path]:
    """Return the kind, "run" or "data set", and the folder of a report.

    Raises:
        SourceError: If `path` is neither.
    """
    if isinstance(path, DataSet):
        return "data set", path.folder
    path = Path(path)
    for folder in (path, resolve_run(path).path):
        try:
            kind = artifact_kind(folder)
        except SourceError:
            continue
        if folder.is_dir() and kind in ("run", "data set"):
            return kind, folder
    raise SourceError(
        f"{path} is neither a run (no run.json found) nor a data set (no manifest.json found); "
        "pass a folder written by fer-lmdb train or fer-lmdb build"
    )


def _command(folder: Path, faces: bool, seed: int, **paths: Path | None) -> str:
    """Return the command line that creates a report."""
    words = ["fer-lmdb", "report", str(folder)]
    words += ["--faces"] if faces else []
    words += ["--seed", str(seed)] if seed else []
    for name, path in paths.items():
        words += [f"--{name}", str(path)] if path is not None else []
    return shlex.join(words)
