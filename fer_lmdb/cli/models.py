"""``fer-lmdb models``."""

from __future__ import annotations

from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, print_full_table
from fer_lmdb.cli.shared_options import json_option

EXAMPLES = """
# pretrained models and nets
fer-lmdb models
# the same for a script
fer-lmdb models --json
"""


@click.command("models", cls=Command, examples=EXAMPLES)
@json_option
def command(as_json: bool) -> None:
    """List pretrained models and nets with their measured accuracy.

    predict and evaluate take a pretrained model by name; train takes a net by name.
    """
    from fer_lmdb.models.listing import list_models

    rows = list_models()
    if as_json:
        emit(rows)
    else:
        _print_rows("Pretrained models", [row for row in rows if row["shipped"]])
        _print_rows("Nets to train", [row for row in rows if not row["shipped"]])


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from fer_lmdb.evaluation.formatting import format_accuracy

    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("classes", justify="right")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("measured accuracy")
    for row in rows:
        lines = [f"{each['split']} {format_accuracy(each)}" for each in row["figures"]] or ["not trained yet"]
        lines += [row["trained"]] if row["trained"] else []
        table.add_row(row["name"], str(len(row["classes"])), f"{row['parameters']:,}", "\n".join(lines))
    print_full_table(table)
