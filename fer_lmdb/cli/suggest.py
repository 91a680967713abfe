"""Suggestions for mistyped and renamed commands, options, variables and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from fer_lmdb.cli.environment import variable_name
from fer_lmdb.renames import OPTIONS
from prototxt_like.suggest import closest_match, did_you_mean


class Choice(click.Choice):  # type: ignore[type-arg, unused-ignore]
    """A choice whose error message suggests the closest value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fail with a suggestion if it is not one of the choices."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise click.BadParameter(_suggest(error.message, str(value), map(str, self.choices)), ctx, param) from None


def unknown_command(name: str, known: Iterable[str]) -> str:
    """Return the error message for an unknown command; for an existing file, suggest `predict`."""
    if Path(name).exists():
        return f"No such command '{name}'; did you mean: fer-lmdb predict {name}"
    message = _suggest(f"No such command '{name}'", name, known)
    return message if "did you mean" in message else f"{message}; list the commands with: fer-lmdb --help"


def renamed_option(command: click.Command, flag: str) -> str | None:
    """Return the error message for the old name of an option, or None if the option was not renamed."""
    new = renamed_options(command).get(flag)
    return f"{flag} is now {new}" if new else None


def renamed_variable(command: click.Command, environment: Mapping[str, str]) -> str | None:
    """Return the error message for a set variable of an option's old name, or None if no such variable is set."""
    for old, new in renamed_options(command).items():
        variable = variable_name(old, command.name or "")
        if variable in environment and variable not in _known_variables(command):
            return f"environment variable {variable} is now {variable_name(new, command.name or '')}"
    return None


def renamed_options(command: click.Command) -> dict[str, str]:
    """Return the old and new names of a command's options, without the names that the command still defines."""
    defined = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return {old: new for old, new in OPTIONS.get(command.name or "", {}).items() if old not in defined}


def unknown_variables(command: click.Command, prefix: str, environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable with a command's prefix that belongs to none of its options.

    Variables of renamed options are left to `renamed_variable`.
    """
    known = _known_variables(command)
    renamed = {variable_name(old, command.name or "") for old in renamed_options(command)}
    unknown = sorted(name for name in environment if name.startswith(f"{prefix}_") and name not in known | renamed)
    return [_suggest(f"environment variable {name} is not an option", name, known) for name in unknown]


def _known_variables(command: click.Command) -> set[str]:
    return {parameter.envvar for parameter in command.params if isinstance(parameter.envvar, str)}


def _suggest(message: str, name: str, known: Iterable[str]) -> str:
    """Append the closest known name to a message, if there is one."""
    closest = closest_match(name, known)
    return message.rstrip(".") + did_you_mean(name, [closest]) if closest else message
