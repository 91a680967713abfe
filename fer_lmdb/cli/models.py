"""``fer-lmdb models``."""

from __future__ import annotations

from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, json_option, print_whole

EXAMPLES = """
# what there is
fer-lmdb models
# the same for a script
fer-lmdb models --json
"""


@click.command("models", cls=Command, examples=EXAMPLES)
@json_option
def command(as_json: bool) -> None:
    """List nets and shipped models with their measured figures.

    A net without a shipped model can be trained; one with a model can be used
    by name in predict and evaluate.
    """
    from fer_lmdb.models.listing import list_models

    rows = list_models()
    if as_json:
        emit(rows)
    else:
        _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    _print_table("Shipped, by name in predict and evaluate", [row for row in rows if row["shipped"]])
    _print_table("Nets to train", [row for row in rows if not row["shipped"]])


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("classes", justify="right")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("measured accuracy")
    for row in rows:
        lines = [_figure(figure) for figure in row["figures"]] or ["not trained yet"]
        lines += [row["trained"]] if row["trained"] else []
        table.add_row(row["name"], str(len(row["classes"])), f"{row['parameters']:,}", "\n".join(lines))
    print_whole(table)


def _figure(figure: dict[str, Any]) -> str:
    views = "1 view" if figure["tta"] == 1 else f"{figure['tta']} views"
    return f"{figure['split']} {figure['accuracy']:.2%} of {figure['n']:,}, {views}"
