"""What somebody who mistyped something probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from prototxt_like.suggest import closest_match


class Choice(click.Choice):  # type: ignore[type-arg, unused-ignore]
    """A choice whose error message names the nearest one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the chosen value; where there is none of that name, suggest one."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = _did_you_mean(closest_match(str(value), map(str, self.choices)))
            raise click.BadParameter(error.message + hint, ctx=ctx, param=param) from None


def unknown_command(name: str, known: Iterable[str]) -> str:
    """Return the message for a command that does not exist; a file's name gets the command that reads it."""
    if Path(name).exists():
        return f"No such command '{name}'. Did you mean: fer-lmdb predict {name}"
    return f"No such command '{name}'.{_did_you_mean(closest_match(name, known)) or ' fer-lmdb --help lists them.'}"


def unknown_variables(command: click.Command, prefix: str, environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that looks like one of a command's options, but is none."""
    known = {parameter.envvar for parameter in command.params if isinstance(parameter.envvar, str)}
    strangers = sorted(name for name in environment if name.startswith(f"{prefix}_") and name not in known)
    return [f"{name} is set, but sets nothing.{_did_you_mean(closest_match(name, known))}" for name in strangers]


def _did_you_mean(name: str | None) -> str:
    return f" Did you mean {name}?" if name else ""
