"""Group of all commands: imports a command when it runs, and prints expected errors in one line."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import click

from fer_lmdb.cli import suggest, verbosity
from fer_lmdb.cli.environment import variable_of, variable_prefix
from fer_lmdb.errors import ERRORS, one_line

ENVIRONMENT = {
    "FER_LMDB_COMMAND_OPTION": "Sets an option: FER_LMDB_TRAIN_EPOCHS=150 is train --epochs 150.",
    "FER_LMDB_VERBOSE": "1 is -v, 2 is -vv, for all commands.",
    "FER_LMDB_QUIET": "1 is -q, for all commands.",
    "FER_LMDB_DEBUG": "1 shows the traceback of an error, like -vv.",
    "NO_COLOR": "Disables colors if set.",
}
MODULES = {"import": "import_caffe"}
"""Module of a command whose name is a word of Python."""
EXIT_CODES = {"0": "done", "1": "failed", "2": "wrong usage", "130": "interrupted with Ctrl-C"}


class LazyGroup(click.Group):
    """Group with a one-line help per command; a command is imported when it is needed.

    Args:
        summaries: One-line help by command, in the order of the list.
    """

    def __init__(self, *, summaries: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self.summaries = summaries
        self.params += verbosity.options()
        for option in self.params:
            if isinstance(option, click.Option) and option.name in ("verbose", "quiet"):
                option.envvar = variable_of(option, "")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the pipeline."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command."""
        if cmd_name not in self.summaries:
            return None
        command: click.Command = importlib.import_module(f"fer_lmdb.cli.{MODULES.get(cmd_name, cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write environment variables and exit codes."""
        with formatter.section("Environment"):
            formatter.write_dl(list(ENVIRONMENT.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl(list(EXIT_CODES.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; fail with a suggestion if it does not exist."""
        if ctx.resilient_parsing:  # completion: print no messages
            return super().resolve_command(ctx, args)
        if args and args[0] not in self.summaries and not args[0].startswith("-"):
            raise click.UsageError(suggest.unknown_command(args[0], self.summaries), ctx)
        name, command, rest = super().resolve_command(ctx, args)
        for warning in suggest.unknown_variables(command, variable_prefix(name or ""), os.environ) if command else ():
            click.echo(f"Warning: {warning}", err=True)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print expected errors in one line and exit with 1."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except (*ERRORS, OSError, MemoryError) as error:
            if _wants_traceback(ctx) or isinstance(error, BrokenPipeError):
                raise
            raise click.ClickException(one_line(error)) from error


def _wants_traceback(context: click.Context) -> bool:
    """Return whether -vv was given to the group or the command."""
    with context.scope(cleanup=False):
        return bool(os.environ.get("FER_LMDB_DEBUG")) or verbosity.level() > 1
