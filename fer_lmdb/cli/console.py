"""Output of all commands: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fer_lmdb.cli.verbosity import is_quiet

if TYPE_CHECKING:
    from rich.table import Table


def err_console() -> Console:
    """Return a console on stderr, silent with --quiet. rich checks NO_COLOR and whether stderr is a terminal."""
    return Console(stderr=True, quiet=is_quiet())


def out_console() -> Console:
    """Return a console on stdout, for tables and bars."""
    return Console()


def print_full_table(table: Table, console: Console | None = None) -> None:
    """Print a table on stdout (default) without truncation, even if the terminal is narrower than its words.

    rich would drop columns and truncate words.
    """
    console = console or out_console()
    width, least = console.width, console.measure(table, options=console.options.update(width=1000)).minimum
    console.width = max(width, least)
    console.print(table)
    console.width = width


def emit(document: Any, indent: int | None = 2) -> None:
    """Print a document as JSON on stdout; numbers that JSON does not have (NaN, infinity) become null."""
    click.echo(json.dumps(_plain(document), indent=indent, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_next_step(text: str) -> None:
    """Print the next step on stderr, unless --quiet was given."""
    note(f"Next: {text}")


def next_command(*words: str) -> None:
    """Print the next fer-lmdb command on stderr, quoted for the shell."""
    print_next_step(shlex.join(["fer-lmdb", *words]))


def note(text: str) -> None:
    """Print a note on stderr, unless --quiet was given."""
    if not is_quiet():
        click.echo(text, err=True)


def print_ensemble_note(members: Sequence[str], named: int) -> None:
    """Print the members of an ensemble if a folder was expanded."""
    if len(members) > max(1, named):
        note(f"ensemble of {len(members)} models: {', '.join(members)}")


def progress_bar(unit: str) -> Progress:
    """Return a progress bar on stderr with throughput and remaining time; silent if stderr is not a terminal."""
    console = err_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit + "  {task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
