"""``fer-lmdb join``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from fer_lmdb.cli.build import report, show_on
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import json_option, progress_bar
from fer_lmdb.cli.types import A_PATH, DATA_SET

EXAMPLES = """
# FER2013 and faces of your own
fer-lmdb join data/fer2013 data/mine --out data/both
# the same faces as they are and aligned: learn from both, measure on the first alone
fer-lmdb join data/fer2013 data/as-they-are --train-only --out data/two-ways
"""


@click.command("join", cls=Command, examples=EXAMPLES)
@click.argument("folders", type=DATA_SET, nargs=-1, required=True, metavar="DATA...")
@click.option("--out", type=A_PATH, required=True, metavar="DIR", help="The data set to make.")
@click.option("--train-only", is_flag=True, help="Take validation and test faces from the first one alone.")
@click.option("--seed", default=0, show_default=True, help="Seed of the order.")
@click.option("--force", is_flag=True, help="Replace the data set if it exists.")
@json_option
def command(folders: tuple[str, ...], out: Path, train_only: bool, seed: int, force: bool, as_json: bool) -> None:
    """Put the faces of several data sets into one.

    Labels and face sizes have to be the same. Every split is in random order;
    where the faces were prepared differently, the new data set counts as the first.
    """
    from fer_lmdb.data.build.join import join_datasets

    started = time.monotonic()
    with progress_bar("faces") as bar:
        document = join_datasets(
            [Path(folder) for folder in folders],
            out,
            train_only=train_only,
            seed=seed,
            force=force,
            progress=show_on(bar),
        )
    report(document, out, time.monotonic() - started, as_json, only_images=False)
