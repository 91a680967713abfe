"""``fer-lmdb models``."""

from __future__ import annotations

from typing import Any

import click

from fer_lmdb.cli.output import emit, json_option, out_console


@click.command("models")
@json_option
def command(as_json: bool) -> None:
    """List nets and shipped models with their measured figures.

    A net without a shipped model can be trained; one with a model can be used
    by name in predict and evaluate.
    """
    from fer_lmdb.catalogue import list_models

    rows = list_models()
    if as_json:
        emit(rows)
    else:
        _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("name", "net", "shipped", "classes", "parameters", "measured accuracy")
    for row in rows:
        figures = [
            f"{split} {own['accuracy']:.2%} (N = {own['n']:,}, {own['tta']} view{'s' if own['tta'] > 1 else ''})"
            for own in row["figures"]
            for split in [own["split"]]
        ]
        table.add_row(
            row["name"],
            row["net"],
            "yes" if row["shipped"] else "-",
            str(len(row["classes"])),
            f"{row['parameters']:,}",
            "\n".join(figures) or "not trained yet",
        )
    out_console().print(table)
