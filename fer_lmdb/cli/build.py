"""fer-lmdb build: a csv or folders of faces become a data set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.output import emit, json_option, next_step, out_console, progress_bar

if TYPE_CHECKING:
    from fer_lmdb.build import Progress

DEFAULT_SOURCE = Path("data/fer2013.csv")


@click.command("build")
@click.argument("source", type=click.Path(path_type=Path), default=DEFAULT_SOURCE)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: data/<name of the source>]")
@click.option(
    "--detector", default="mtcnn", show_default=True, help="Face detector; none keeps the pictures as they are."
)
@click.option(
    "--on-miss",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="Pictures in which no face is found.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the shuffle.")
@click.option(
    "--encode",
    type=click.Choice(["raw", "png"]),
    default="raw",
    show_default=True,
    help="How a Datum holds its picture.",
)
@click.option("--classes", default="fer2013", show_default=True, help="Label scheme.")
@click.option("--skip-bad", is_flag=True, help="Leave out rows and files that cannot be used, count and list them.")
@click.option("--force", is_flag=True, help="Replace the data set where it exists.")
@json_option
def command(
    source: Path, out: Path | None, as_json: bool, force: bool, classes: str, detector: str, **choices: Any
) -> None:
    """Turn SOURCE (fer2013.csv or a folder of pictures) into LMDB databases, mean image and manifest."""
    from fer_lmdb.build import Options, build
    from fer_lmdb.faces.prepare import Preprocessing
    from fer_lmdb.labels import get_scheme
    from fer_lmdb.sources.fer2013 import Fer2013Csv

    target = out or Path("data") / source.stem
    options = Options(Preprocessing(detector=detector), scheme=get_scheme(classes), **choices)
    started = time.monotonic()
    with progress_bar("faces") as bar:
        document = build(Fer2013Csv(source), target, options, force=force, progress=show_on(bar))
    seconds = time.monotonic() - started
    if as_json:
        emit({"data": str(target), "seconds": round(seconds, 2), **document})
        return
    print_table(document, seconds)
    next_step(f"fer-lmdb train --epochs 150 --data {target}")


def show_on(bar: Any) -> Progress:
    """Return a function that shows every stage of a build as a line of a progress bar."""
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total, note="")
        task = bar.tasks[bar.task_ids.index(tasks[stage])]
        note = f"{task.speed:,.0f}/s" if task.speed else ""
        bar.update(tasks[stage], completed=done, total=max(total or done, done), note=note)

    return show


def print_table(document: dict[str, Any], seconds: float) -> None:
    """Print counts per split and class, and the time."""
    from rich.table import Table

    table = Table()
    table.add_column("split")
    for name in ["faces", *document["classes"]]:
        table.add_column(name, justify="right")
    for split, facts in document["splits"].items():
        table.add_row(split, *(f"{number:,}" for number in [facts["count"], *facts["per_class"].values()]))
    console = out_console()
    console.print(table)
    console.print(f"{document['source']['rows']:,} rows in {seconds:.1f} s")
