"""``fer-lmdb join``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import progress_bar
from fer_lmdb.cli.render_build import print_dataset, show_progress
from fer_lmdb.cli.shared_options import json_option, labels_option
from fer_lmdb.cli.types import A_PATH, DATA_SET, SEED

EXAMPLES = """
# FER2013 and your own faces
fer-lmdb join data/fer2013 data/mine --out data/both
# aligned and unaligned variants of the same faces: train on both, evaluate on the first
fer-lmdb join data/fer2013 data/unaligned --train-only --out data/variants
"""


@click.command("join", cls=Command, examples=EXAMPLES)
@click.argument("folders", type=DATA_SET, nargs=-1, required=True, metavar="DATA...")
@click.option("--out", type=A_PATH, required=True, metavar="DIR", help="Folder to write.")
@click.option("--train-only", is_flag=True, help="Use validation and test faces of the first data set only.")
@labels_option("the classes of databases without a manifest")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the order.")
@click.option("--force", is_flag=True, help="Replace an existing data set.")
@json_option
def command(
    folders: tuple[str, ...], out: Path, train_only: bool, labels: str | None, seed: int, force: bool, as_json: bool
) -> None:
    """Join several data sets.

    Label schemes and face sizes must be equal. Each split is shuffled. If the data
    sets differ in preprocessing, the joined one has that of the first.
    """
    from fer_lmdb.data.build.join import join

    started = time.monotonic()
    with progress_bar("faces") as bar:
        data = join(
            folders, out, train_only=train_only, seed=seed, labels=labels, force=force, progress=show_progress(bar)
        )
    print_dataset(data.manifest, out, time.monotonic() - started, as_json=as_json, images_only=False)
