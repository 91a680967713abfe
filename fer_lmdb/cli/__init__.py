"""The command line: options, help and what is printed. No logic.

Each command lives in a file of its own, which is imported only when that command
runs, so that ``fer-lmdb --help`` does not wait for PyTorch.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from fer_lmdb.errors import FerLmdbError

# In the order in which data flows; the value is the line that `fer-lmdb --help` shows.
COMMANDS = {
    "build": "Turn a csv or folders of faces into an LMDB data set.",
    "inspect": "Say what a database, mean, net, model or run holds.",
    "train": "Train a net on a built data set.",
    "evaluate": "Measure models on a split, with N and interval.",
    "predict": "Recognise expressions in pictures and videos.",
    "watch": "Recognise expressions live, from a camera or video.",
    "export": "Write a model as Caffe files or in half precision.",
    "models": "List nets and shipped models with their figures.",
    "demo": "Show the whole pipeline with drawn faces.",
}

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that knows its commands' one-line helps and imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which data flows."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file and return its command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"fer_lmdb.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest one where there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn every expected error into one line and exit code 1."""
        from prototxt_like.errors import PrototxtLikeError

        try:
            return super().invoke(ctx)
        except (FerLmdbError, PrototxtLikeError, OSError, MemoryError) as error:
            if os.environ.get("FER_LMDB_DEBUG") or _is_broken_pipe(error):
                raise
            raise click.ClickException(_one_line(error)) from error


def _is_broken_pipe(error: BaseException) -> bool:
    return isinstance(error, BrokenPipeError)


def _one_line(error: BaseException) -> str:
    """Return the error's message on one line; an error without one is named by its type."""
    if isinstance(error, MemoryError):
        return f"out of memory: {error}".rstrip(": ")
    text = " ".join(str(error).split())
    return text or type(error).__name__


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fer-lmdb", prog_name="fer-lmdb")
def cli() -> None:
    """Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    \b
    fer-lmdb build fer2013.csv           faces -> data/fer2013/
    fer-lmdb train --epochs 150          data/fer2013/ -> runs/NAME/
    fer-lmdb evaluate runs/NAME          accuracy on the validation split
    fer-lmdb predict photo.jpg           with the model that comes with the package

    Every command takes --json; results go to stdout, progress to stderr.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        code = cli.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output (head, less) is gone: keep Python from complaining while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
