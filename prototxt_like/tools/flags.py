"""Flags of Caffe's programs, in all forms that gflags accepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prototxt_like.errors import PrototxtLikeError
from prototxt_like.suggest import did_you_mean

_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


class UsageError(PrototxtLikeError):
    """Invalid flag or number of arguments."""


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        default: Value if the flag is not set; its type is that of the flag.
        help: Description.
    """

    default: str | int | bool
    help: str


@dataclass(frozen=True)
class Command:
    """Command line of one program.

    Args:
        usage: Positional arguments, as in a usage line.
        help: Description, one line.
        flags: Flags by name.
        least: Minimum number of positional arguments.
        most: Maximum number of positional arguments.
    """

    usage: str
    help: str
    flags: Mapping[str, Flag] = field(default_factory=dict)
    least: int = 0
    most: int = 0

    def parse(self, arguments: Sequence[str]) -> tuple[dict[str, str | int | bool], list[str]]:
        """Parse arguments: ``-flag value``, ``--flag value``, ``-flag=value``, and ``--noflag`` for booleans.

        Returns:
            Value of every flag, and the positional arguments.

        Raises:
            UsageError: If a flag is unknown or its value is invalid, or the number of arguments is wrong.
        """
        values = {name: flag.default for name, flag in self.flags.items()}
        positional: list[str] = []
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument == "--":
                positional += rest
                break
            if not argument.startswith("-") or argument == "-":
                positional.append(argument)
                continue
            name, equals, text = argument.lstrip("-").partition("=")
            self._set(values, name, text if equals else None, rest)
        if not self.least <= len(positional) <= self.most:
            raise UsageError(f"found {len(positional)} arguments, expected: {self.usage or 'flags only'}")
        return values, positional

    def format_help(self, name: str) -> str:
        """Return the help text of the program."""
        usage = " ".join(part for part in ("python -m prototxt_like", name, "[flags]", self.usage) if part)
        lines = [f"usage: {usage}", "", self.help, ""]
        lines += [f"  -{flag}  {option.help} (default: {option.default!r})" for flag, option in self.flags.items()]
        return "\n".join(lines).rstrip()

    def _set(self, values: dict[str, str | int | bool], name: str, text: str | None, rest: list[str]) -> None:
        if name not in self.flags and name.startswith("no") and isinstance(values.get(name[2:]), bool):
            values[name[2:]] = False
            return
        if name not in self.flags:
            raise UsageError(f"unknown command line flag '{name}'{did_you_mean(name, self.flags)}")
        default = self.flags[name].default
        if text is None and isinstance(default, bool):
            values[name] = True
            return
        if text is None:
            if not rest:
                raise UsageError(f"flag '{name}' is missing its argument")
            text = rest.pop(0)
        values[name] = _convert(name, text, default)


def _convert(name: str, text: str, default: str | int | bool) -> str | int | bool:
    if isinstance(default, bool):
        if text.lower() not in _TRUE + _FALSE:
            raise UsageError(f"illegal value '{text}' specified for bool flag '{name}'")
        return text.lower() in _TRUE
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"illegal value '{text}' specified for int32 flag '{name}'") from None
    return text
