"""Base class of the commands: examples in the help, -v and -q, environment variables, suggestions."""

from __future__ import annotations

import os
from typing import Any

import click

from fer_lmdb.cli import suggest, verbosity
from fer_lmdb.cli.environment import longest_flag, variable_of
from fer_lmdb.cli.numbers import bounded
from fer_lmdb.cli.suggest import Choice


class Command(click.Command):
    """Command of fer-lmdb, for ``@click.command("name", cls=Command, examples=EXAMPLES)``.

    Args:
        examples: Shell lines for the help, each with a comment above it.
    """

    def __init__(self, name: str | None, *, examples: str = "", **settings: Any) -> None:
        super().__init__(name, **settings)
        self.examples = examples.strip().splitlines()
        self.params += verbosity.options()
        for parameter in self.params:
            if type(parameter.type) is click.Choice:
                parameter.type = Choice(parameter.type.choices, parameter.type.case_sensitive)
            parameter.type = bounded(parameter.type)
            if isinstance(parameter, click.Option) and parameter.envvar is None:
                parameter.envvar = variable_of(parameter, name or "")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; report options and variables that were renamed.

        Raises:
            UsageError: If an old option is given or an old variable is set.
        """
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            message = suggest.renamed_option(self, error.option_name)
            if message is None:
                raise
            raise click.UsageError(message, ctx) from None
        message = None if ctx.resilient_parsing else suggest.renamed_variable(self, os.environ)
        if message is not None:
            raise click.UsageError(message, ctx)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with -v, print its options, time and memory."""
        with verbosity.log_invocation(ctx):
            return super().invoke(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, description, examples, options and environment variables."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self._format_examples(formatter)
        self.format_options(ctx, formatter)
        self._format_environment(formatter)
        self.format_epilog(ctx, formatter)

    def _format_examples(self, formatter: click.HelpFormatter) -> None:
        if not self.examples:
            return
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line}\n" for line in self.examples))

    def _format_environment(self, formatter: click.HelpFormatter) -> None:
        """Write how variables are named."""
        example = next(option for option in self.params if isinstance(option, click.Option))
        with formatter.section("Environment"):
            formatter.write_text(
                f"Each option can also be set by an environment variable, e.g. {example.envvar} for "
                f"{longest_flag(example)}. The command line takes precedence."
            )


def options_given(context: click.Context) -> list[str]:
    """Return the typed options as words for another command line, without -v and -q."""
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if not isinstance(option, click.Option) or name not in context.params:
            continue
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if option.is_flag:
            words.append(max(option.opts if value else option.secondary_opts, key=len))
            continue
        for single in value if option.multiple else [value]:
            words += [longest_flag(option), str(single)]
    return words
