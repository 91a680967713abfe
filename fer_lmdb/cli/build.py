"""``fer-lmdb build``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from fer_lmdb import ranges
from fer_lmdb.choices import ALIGNMENTS, ENCODINGS, FILLS, ON_NO_FACE, TEMPLATES
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import progress_bar
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.render_build import print_dataset, show_progress
from fer_lmdb.cli.shared_options import (
    detector_option,
    detector_threshold_option,
    device_option,
    executor_option,
    json_option,
    labels_option,
    min_face_option,
)
from fer_lmdb.cli.types import A_PATH, SEED, Ratio
from fer_lmdb.labels import LABEL_ORDERS, SCHEMES

DEFAULT_SOURCE = Path("data/fer2013.csv")
EXAMPLES = """
# detect and align every face: fer2013.csv -> data/fer2013/
fer-lmdb build data/fer2013.csv
# use the images unaligned, without detection
fer-lmdb build data/fer2013.csv --detector none --out data/unaligned
# your own images, one folder per expression
fer-lmdb build photos/ --out data/mine --skip-invalid
# folders that are numbers, as in RAF-DB
fer-lmdb build raf-db/ --label-order rafdb
# a list of "path label" lines, with your own class names
fer-lmdb build list.txt --root images/ --labels angry,happy,neutral --split-ratio 90/5/5
# FER+'s eight classes and votes
fer-lmdb build --ferplus fer2013new.csv --label-scheme ferplus --out data/ferplus
"""


@click.command("build", cls=Command, examples=EXAMPLES)
@click.argument("source", type=A_PATH, default=DEFAULT_SOURCE)
@click.option("--out", type=A_PATH, help="Folder to write.  [default: data/NAME OF SOURCE]")
@click.option("--force", is_flag=True, help="Replace existing folders.")
@detector_option("mtcnn", "Face detector; none: use the whole image.")
@min_face_option(20)
@detector_threshold_option()
@click.option(
    "--size", type=number(ranges.FACE_SIZE), default=48, show_default=True, help="Height and width of the faces."
)
@click.option(
    "--align",
    type=click.Choice(ALIGNMENTS),
    default="landmarks",
    show_default=True,
    help="Rotate and scale faces by their landmarks, or crop their boxes.",
)
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default="fer2013",
    show_default=True,
    help="Landmark template: FER2013's framing or ArcFace's.",
)
@click.option(
    "--margin",
    type=number(ranges.MARGIN),
    default=0.0,
    show_default=True,
    help="Margin around faces, as a fraction of their side.",
)
@click.option(
    "--fill",
    type=click.Choice(FILLS),
    default="edge",
    show_default=True,
    help="Padding outside the image: repeat the edge, or black.",
)
@click.option(
    "--on-no-face",
    type=click.Choice(ON_NO_FACE),
    default="keep",
    show_default=True,
    help="Keep images without a detected face unaligned, or drop them.",
)
@click.option(
    "--label-scheme", type=click.Choice(list(SCHEMES)), default="fer2013", show_default=True, help="Label scheme."
)
@click.option(
    "--label-order",
    type=click.Choice(list(LABEL_ORDERS)),
    help="Data set whose numbering the class numbers follow.  [default: FER2013's for its csv, else none]",
)
@labels_option("numbered classes")
@click.option("--ferplus", type=A_PATH, metavar="CSV", help="FER+'s fer2013new.csv, with votes for each face.")
@click.option(
    "--split-ratio",
    type=Ratio(),
    metavar="TRAIN/VAL/TEST",
    help="Random splits of a source that has none; near-duplicates stay together.  [default: 80/10/10]",
)
@click.option(
    "--root",
    type=A_PATH,
    metavar="DIR",
    help="Folder of the paths in an image list.  [default: the list's folder, or the current one]",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the shuffle and of the random splits.")
@click.option(
    "--shuffle/--no-shuffle",
    default=True,
    show_default=True,
    help="Shuffle each split, or keep the source's order.",
)
@click.option(
    "--channel-order",
    type=click.Choice(["gray", "bgr"]),
    default="gray",
    show_default=True,
    help="Store faces in gray, or in color as Caffe does: blue, green, red.",
)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default="raw",
    show_default=True,
    help="Encoding of the images in the databases.",
)
@executor_option("Where detection runs: locally or on a Ray cluster (RAY_ADDRESS).")
@click.option("--shards", type=number(ranges.SHARDS), metavar="N", help="Split each database into N shards.")
@click.option("--skip-invalid", is_flag=True, help="Skip invalid rows and files; count and list them.")
@click.option("--images", type=A_PATH, metavar="DIR", help="Write the images as PNG files and image lists as well.")
@click.option("--images-only", is_flag=True, help="Write no databases, only the files of --images.")
@device_option("cpu", "Torch device of the face detector")
@json_option
def command(
    source: Path,
    out: Path | None,
    images: Path | None,
    images_only: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert SOURCE to databases, mean image and manifest.

    SOURCE is fer2013.csv, a folder of class folders, or a list with "path label" lines.
    """
    if images_only and images is None:
        raise click.UsageError("--images-only needs --images DIR")
    if options["labels"] is not None and options["label_order"] is not None:
        raise click.UsageError("--labels and --label-order exclude each other; leave out one")
    from fer_lmdb.data.build import build, write_images

    started = time.monotonic()
    folder = out or Path("data") / ((source.stem if source.is_file() else source.resolve().name) or "images")
    with progress_bar("faces") as bar:
        common: dict[str, Any] = {"force": force, "progress": show_progress(bar), **options}
        if images_only and images is not None:
            folder = images
            manifest = write_images(source, images, **common)
        else:
            manifest = build(source, folder, images=images, **common).manifest
    print_dataset(manifest, folder, time.monotonic() - started, as_json=as_json, images_only=images_only)
