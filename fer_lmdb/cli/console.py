"""Output of all commands: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import os
import shlex
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fer_lmdb.cli.verbosity import is_quiet
from fer_lmdb.errors import printable
from fer_lmdb.io.file_names import printable_path

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
    click.echo(_to_json(document, indent))


def _to_json(document: Any, indent: int | None) -> str:
    return json.dumps(_plain(document), indent=indent, ensure_ascii=False)


def emit_line(document: Any) -> None:
    """Print a document as one line of JSON on stdout; all of the line or nothing, if stdout is a file on a full disk.

    Raises:
        OSError: If it cannot be printed.
    """
    size = _stdout_size()
    if size is None:
        emit(document, indent=None)
        return
    sys.stdout.flush()
    descriptor = sys.stdout.fileno()
    line = memoryview(_to_json(document, None).encode("utf-8", "backslashreplace") + b"\n")
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _stdout_size() -> int | None:
    """Return the size of the file behind stdout; None if it is no regular file."""
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or replaced in Python
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


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
    print_next_step(" ".join(["fer-lmdb", *map(shell_word, words)]))


def shell_word(text: str) -> str:
    """Quote a text for the shell; with the escapes of bash and zsh if it has characters that are not printable."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + printable_path(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def note(text: str) -> None:
    """Print a note on stderr, unless --quiet was given."""
    if not is_quiet():
        click.echo(printable(text), err=True)


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
