"""``fer-lmdb report``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note
from fer_lmdb.cli.shared_options import device_option, json_option
from fer_lmdb.cli.types import A_PATH, DATA_SET, Completed, data_sets, run_names

EXAMPLES = """
# a run: open runs/face_emotion_net-001/report/index.html
fer-lmdb report runs/face_emotion_net-001
# a run that was trained elsewhere
fer-lmdb report downloads/run --data data/fer2013 --out report
# a data set, with originals beside aligned faces
fer-lmdb report data/fer2013 --faces --source fer2013.csv
"""

RUN_OR_DATA_SET = Completed("folder", lambda: [*run_names(), *data_sets()])


@click.command("report", cls=Command, examples=EXAMPLES)
@click.argument("path", type=RUN_OR_DATA_SET, metavar="RUN|DATASET")
@click.option("--out", type=A_PATH, metavar="DIR", help="Folder to write.  [default: report/ inside RUN or DATASET]")
@click.option("--data", type=DATA_SET, metavar="DIR", help="Of a run: its data set.  [default: as run.json says]")
@click.option("--faces", is_flag=True, help="Of a data set: pictures with box and landmarks beside aligned faces.")
@click.option(
    "--source", type=A_PATH, metavar="PATH", help="With --faces: the csv or folder that the data set was built from."
)
@click.option("--seed", default=0, show_default=True, help="Which faces are shown where not all are.")
@device_option()
@json_option
def command(
    path: str,
    out: Path | None,
    data: str | None,
    faces: bool,
    source: Path | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Draw a run or a data set: PNG and SVG files and one page that needs nothing but itself.

    A run is measured on its validation split, never on test. What cannot be shown,
    for example because the data set is elsewhere, is listed with the reason.
    """
    from fer_lmdb import reporting as stage

    kind, folder = stage.artifact_kind(path)
    _check(kind, data, faces, source)
    note(f"Drawing {kind} {folder} ...")
    found = stage.report(path, data=Path(data) if data else None, faces=faces, source=source, seed=seed, device=device)
    document = stage.write(found, out or folder / "report", typed(path, faces, seed, data=data, source=source))
    if as_json:
        emit(document)
        return
    for reason, titles in found.missing().items():
        click.echo(f"Missing: {', '.join(titles)}: {reason}", err=True)
    click.echo(f"{document['report']} and {len(document['files'])} pictures beside it")


def _check(kind: str, data: str | None, faces: bool, source: Path | None) -> None:
    if kind == "run" and (faces or source):
        raise click.UsageError("--faces and --source belong to a data set; this is a run")
    if kind == "data set" and data:
        raise click.UsageError("--data belongs to a run; this is a data set")
    if source and not faces:
        raise click.UsageError("--source needs --faces")


def typed(path: str, faces: bool, seed: int, **places: str | Path | None) -> str:
    """Return the command line that makes the same report again."""
    words = ["fer-lmdb", "report", path, *(["--faces"] if faces else []), *(["--seed", str(seed)] if seed else [])]
    for name, place in places.items():
        words += [f"--{name}", str(place)] if place is not None else []
    return shlex.join(words)
