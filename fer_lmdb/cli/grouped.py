"""Options under headings: a command with many of them lists them by what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fer_lmdb.cli.command import Command

OTHERS = "Options"


class GroupedOption(click.Option):
    """An option with a heading to stand under.

    Args:
        group: the heading.
    """

    def __init__(self, *arguments: Any, group: str = OTHERS, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


class GroupedCommand(Command):
    """A command whose help lists options under headings, those without one last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each heading, in the order in which they come."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "group", OTHERS), []).append(record)
        others = sections.pop(OTHERS, [])
        for heading, records in [*sections.items(), (OTHERS, others)]:
            with formatter.section(heading):
                formatter.write_dl(records)


def options_of(group: str) -> Callable[..., Callable[[Any], Any]]:
    """Return what declares an option of that heading; used as `click.option` is."""

    def option(*declarations: str, **settings: Any) -> Callable[[Any], Any]:
        return click.option(*declarations, cls=GroupedOption, group=group, **settings)

    return option
