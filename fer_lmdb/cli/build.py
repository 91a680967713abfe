"""fer-lmdb build: a csv or folders of faces become a data set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, json_option, next_command, note, out_console, print_whole, progress_bar
from fer_lmdb.cli.types import A_PATH, DETECTOR, DEVICE
from fer_lmdb.data.manifest import UNREADABLE_NAME
from fer_lmdb.labels import SCHEMES

if TYPE_CHECKING:
    from fer_lmdb.data.build import BuildOptions, ProgressCallback

DEFAULT_SOURCE = Path("data/fer2013.csv")
ROWS = {
    "count": "faces",
    "detected": "aligned",
    "kept_unaligned": "as they are",
    "dropped": "no face, dropped",
    "left_out": "class left out",
    "unreadable": "unreadable",
}


EXAMPLES = """
# fer2013.csv -> data/fer2013/, every face found and aligned
fer-lmdb build data/fer2013.csv
# the pictures as they are, without detection
fer-lmdb build data/fer2013.csv --detector none --out data/plain
# your own pictures: a folder per expression
fer-lmdb build photos/ --out data/mine --skip-bad
# FER+'s eight classes and votes
fer-lmdb build --ferplus fer2013new.csv --classes ferplus --out data/ferplus
"""


@click.command("build", cls=Command, examples=EXAMPLES)
@click.argument("source", type=A_PATH, default=DEFAULT_SOURCE)
@click.option("--out", type=A_PATH, help="Folder to make.  [default: data/NAME OF SOURCE]")
@click.option("--force", is_flag=True, help="Replace the folder where it exists.")
@click.option(
    "--detector",
    type=DETECTOR,
    default="mtcnn",
    show_default=True,
    help="Face detector; none takes the pictures as they are.",
)
@click.option(
    "--min-face", type=click.FloatRange(min=1), default=20, show_default=True, help="Smallest face looked for."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0),
    help="Lowest score of a face; dlib's has no upper bound.  [default: the detector's own]",
)
@click.option("--size", type=click.IntRange(8, 1024), default=48, show_default=True, help="Side of the faces made.")
@click.option(
    "--align",
    type=click.Choice(["landmarks", "box"]),
    default="landmarks",
    show_default=True,
    help="Turn and scale a face by its landmarks, or cut it out along its box.",
)
@click.option(
    "--template",
    type=click.Choice(["fer2013", "arcface"]),
    default="fer2013",
    show_default=True,
    help="Where eyes and mouth come to lie: as FER2013 frames faces, or as face recognition does.",
)
@click.option("--margin", default=0.0, show_default=True, help="Room around a face, as a part of its side.")
@click.option(
    "--fill",
    type=click.Choice(["edge", "black"]),
    default="edge",
    show_default=True,
    help="What stands where a face reaches out of its picture.",
)
@click.option(
    "--on-miss",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="A picture in which no face is found is kept as it is, or dropped.",
)
@click.option("--classes", type=click.Choice(list(SCHEMES)), default="fer2013", show_default=True, help="Label scheme.")
@click.option("--ferplus", type=A_PATH, metavar="CSV", help="FER+'s fer2013new.csv: votes for every face.")
@click.option(
    "--fraction",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Part cut off for validation and test where folders have none.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the shuffle and of the cut.")
@click.option(
    "--encode",
    type=click.Choice(["raw", "png"]),
    default="raw",
    show_default=True,
    help="How a database holds its pictures.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Who finds the faces: this machine, or a Ray cluster (RAY_ADDRESS).",
)
@click.option(
    "--shards", type=click.IntRange(1, 99999), metavar="N", help="Cut every split into N databases, read as one."
)
@click.option("--skip-bad", is_flag=True, help="Leave out rows and files that cannot be used; count and list them.")
@click.option("--images", type=A_PATH, metavar="DIR", help="Write the pictures as PNG files and lists as well.")
@click.option("--only-images", is_flag=True, help="Write only these.")
@click.option("--device", type=DEVICE, default="cpu", show_default=True, help="Where the face detector runs.")
@json_option
def command(
    source: Path,
    out: Path | None,
    images: Path | None,
    only_images: bool,
    force: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Turn SOURCE (fer2013.csv or a folder of class folders) into databases, mean image and manifest."""
    if only_images and images is None:
        raise click.UsageError("--only-images needs --images DIR")
    from fer_lmdb.data import build as building
    from fer_lmdb.data.sources.open import open_source
    from fer_lmdb.labels import get_scheme

    started = time.monotonic()
    target = out or Path("data") / (source.stem if source.is_file() else source.resolve().name)
    options = options_of(choices)
    scheme = get_scheme(choices["classes"])
    opened = open_source(source, scheme, ferplus=choices["ferplus"], holdout=choices["fraction"], seed=choices["seed"])
    with progress_bar("faces") as bar:
        how: dict[str, Any] = {"force": force, "progress": show_on(bar)}
        if only_images and images is not None:
            document = building.extract(opened, images, options, **how)
        else:
            document = building.build(opened, target, options, images=images, **how)
    report(document, images if only_images else target, time.monotonic() - started, as_json, only_images)


def options_of(choices: dict[str, Any]) -> BuildOptions:
    """Return the options of the command line as those of the builder."""
    from fer_lmdb.data.build import BuildOptions
    from fer_lmdb.faces.preprocessing import Preprocessing
    from fer_lmdb.labels import get_scheme

    preprocessing = Preprocessing(
        **{
            name: choices[name]
            for name in ("detector", "min_face", "threshold", "size", "align", "template", "margin", "fill")
        }
    )
    same = ("on_miss", "seed", "encode", "skip_bad", "device", "shards", "engine")
    return BuildOptions(preprocessing, get_scheme(choices["classes"]), **{name: choices[name] for name in same})


def show_on(bar: Any) -> ProgressCallback:
    """Return a function that shows every stage of a build as a line of a progress bar."""
    lines: dict[str, Any] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        if stage not in lines:
            lines[stage] = bar.add_task(stage, total=None, note="")
        speed = next(task.speed for task in bar.tasks if task.id == lines[stage])
        bar.update(lines[stage], completed=done, total=total, note=f"{speed:,.0f}/s" if speed else "")

    return show


def report(document: dict[str, Any], where: Path | None, seconds: float, as_json: bool, only_images: bool) -> None:
    """Print what was built and what to type next."""
    if as_json:
        emit({"images" if only_images else "data": str(where), "seconds": round(seconds, 2), **document})
        return
    console = out_console()
    print_whole(counts_table(document), console)
    rows = document["source"]["rows"]
    console.print(f"{rows:,} pictures in {seconds:.1f} s, {rows / seconds:,.0f} a second: {where}", highlight=False)
    if where and (where / UNREADABLE_NAME).is_file():
        note(f"{document['unreadable']:,} left out; {where / UNREADABLE_NAME} says which, and why")
    if not only_images:
        next_command("train", "--epochs", "150", "--data", str(where))


def counts_table(document: dict[str, Any]) -> Any:
    """Return a table with a column per split: what became of its pictures, then its faces per class."""
    from rich.table import Table

    splits = document["splits"]
    table = Table("")
    for split in splits:
        table.add_column(split, justify="right")
    for key, words in ROWS.items():
        if key == "count" or any(facts[key] for facts in splits.values()):
            table.add_row(words, *(f"{facts[key]:,}" for facts in splits.values()))
    if any(facts["detected"] for facts in splits.values()):
        table.add_row("face found in", *(f"{detection_rate(facts):.1%}" for facts in splits.values()))
    table.add_section()
    for label, name in enumerate(document["classes"]):
        table.add_row(f"{label} {name}", *(f"{facts['per_class'][name]:,}" for facts in splits.values()))
    return table


def detection_rate(facts: dict[str, Any]) -> float:
    """Return the part of a split's pictures in which a face was found."""
    looked_at = facts["count"] + facts["dropped"]
    return facts["detected"] / looked_at if looked_at else 0.0
