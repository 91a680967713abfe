"""``fer-lmdb report``."""

from __future__ import annotations

from pathlib import Path

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note
from fer_lmdb.cli.shared_options import device_option, json_option, labels_option
from fer_lmdb.cli.types import A_PATH, DATA_SET, SEED, Completed, data_sets, run_names

EXAMPLES = """
# a run; writes runs/face_emotion_net-001/report/index.html
fer-lmdb report runs/face_emotion_net-001
# a run trained on another machine
fer-lmdb report downloads/run --data data/fer2013 --out report
# a data set, with source images beside the aligned faces
fer-lmdb report data/fer2013 --faces --source fer2013.csv
"""

RUN_OR_DATA_SET = Completed("folder", lambda: [*run_names(), *data_sets()])


@click.command("report", cls=Command, examples=EXAMPLES)
@click.argument("path", type=RUN_OR_DATA_SET, metavar="RUN|DATASET")
@click.option("--out", type=A_PATH, metavar="DIR", help="Output folder.  [default: report/ inside RUN or DATASET]")
@click.option("--data", type=DATA_SET, metavar="DIR", help="Data set of a run.  [default: the one in run.json]")
@click.option("--faces", is_flag=True, help="Data set: show images with box and landmarks beside the aligned faces.")
@click.option("--source", type=A_PATH, metavar="PATH", help="With --faces: csv or image folder of the data set.")
@labels_option("the classes of databases without a manifest")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed for the selection of shown faces.")
@device_option()
@json_option
def command(
    path: str,
    out: Path | None,
    data: str | None,
    faces: bool,
    source: Path | None,
    labels: str | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Write a report of a run or data set: charts as PNG and SVG, and one HTML page.

    The page is self-contained. A run is evaluated on its validation split, never on
    test. Elements that cannot be created are listed with the reason.
    """
    from fer_lmdb.reporting.report import report, resolve_report

    kind, folder = resolve_report(path)
    _check(kind, data, faces, source)
    note(f"Creating the report of {kind} {folder} ...")
    found = report(path, data=data, faces=faces, source=source, labels=labels, seed=seed, device=device)
    document = found.write(out)
    if as_json:
        emit(document)
        return
    for reason, titles in found.page.missing().items():
        click.echo(f"Missing: {', '.join(titles)}: {reason}", err=True)
    click.echo(f"{document['report']} and {len(document['files'])} image files")


def _check(kind: str, data: str | None, faces: bool, source: Path | None) -> None:
    if kind == "run" and (faces or source):
        raise click.UsageError("--faces and --source apply to data sets; this is a run")
    if kind == "data set" and data:
        raise click.UsageError("--data applies to runs; this is a data set")
    if source and not faces:
        raise click.UsageError("--source requires --faces")
