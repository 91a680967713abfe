"""Verbosity of stderr: -q less, -v and -vv more. Results on stdout do not depend on it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import click

from fer_lmdb.runtime.posix import peak_memory

_KEY = "fer_lmdb.verbosity"


def level() -> int:
    """Return -1 for --quiet, 0 by default, 1 for -v, 2 or more for -vv (with tracebacks)."""
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_KEY, 0)) if context else 0


def is_quiet() -> bool:
    """Return whether progress, notes and hints are off; warnings and errors are always shown."""
    return level() < 0


def flags() -> list[str]:
    """Return the level as options for another command."""
    return ["--quiet"] if is_quiet() else ["--verbose"] * level()


def options() -> list[click.Option]:
    """Return the options -v and -q of the group and of every command; the last one given wins."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            is_eager=True,
            expose_value=False,
            callback=_on_verbose,
            help="Print options, versions and time; -vv: tracebacks as well.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_on_quiet,
            help="Print warnings and errors only, no progress and no hints.",
        ),
    ]


def _on_verbose(context: click.Context, option: click.Parameter, count: int) -> None:
    if count:
        _set(context, option, count)


def _on_quiet(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        _set(context, option, -1)


def _set(context: click.Context, option: click.Parameter, value: int) -> None:
    """Set the level; the command line takes precedence over a variable."""
    source = context.get_parameter_source(option.name or "")
    if source is not click.core.ParameterSource.ENVIRONMENT or _KEY not in context.meta:
        context.meta[_KEY] = value


@contextmanager
def log_invocation(context: click.Context) -> Iterator[None]:
    """With -v, print the options before a command runs, and time and memory afterwards."""
    if level() < 1:
        yield
        return
    for line in (_versions(), *_option_lines(context)):
        click.echo(line, err=True)
    started = time.monotonic()
    try:
        yield
    finally:
        click.echo(f"{context.info_name} took {time.monotonic() - started:.1f} s{_peak_memory()}", err=True)


def _versions() -> str:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{version_line()}, {processors} processors"


def version_line() -> str:
    """Return the versions for a bug report, without importing PyTorch."""
    from fer_lmdb._version import __version__

    return f"fer-lmdb {__version__} (Python {platform.python_version()}, torch {metadata.version('torch')})"


def _option_lines(context: click.Context) -> Iterator[str]:
    """Yield a line per option with a value, and the source of the value."""
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        source = context.get_parameter_source(name)
        if value is None or value is False or value == () or source is None:
            continue
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        yield f"  {_flag(parameter)} {shown}  ({source.name.lower().replace('commandline', 'command line')})"


def _flag(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else (parameter.name or "").upper()


def _peak_memory() -> str:
    """Return the peak memory of the process as the end of a sentence; "" if the system does not report it."""
    peak = peak_memory()
    return "" if peak is None else f" and {peak / 2**20:,.0f} MiB at most"
