"""Environment variables of options: FER_LMDB_COMMAND_OPTION."""

from __future__ import annotations

import click


def variable_prefix(command: str) -> str:
    """Return the prefix of a command's variables; the variables of the group have no command name."""
    return "_".join(["FER_LMDB", *([command.upper()] if command else [])])


def variable_name(flag: str, command: str) -> str:
    """Return the variable of a flag: FER_LMDB_TRAIN_BASE_LR for train's --base-lr."""
    return f"{variable_prefix(command)}_{flag.lstrip('-').replace('-', '_').upper()}"


def variable_of(option: click.Option, command: str) -> str:
    """Return the variable of an option, derived from its long flag."""
    return variable_name(longest_flag(option), command)


def longest_flag(option: click.Option) -> str:
    """Return the long form of an option's flag."""
    return max(option.opts, key=len)
