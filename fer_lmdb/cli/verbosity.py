"""How much a command says on stderr: -q less, -v and -vv more. Results on stdout never depend on it."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import click

_KEY = "fer_lmdb.verbosity"


def level() -> int:
    """Return -1 for --quiet, 0 as usual, 1 for -v (facts), 2 or more for -vv (tracebacks as well)."""
    context = click.get_current_context(silent=True)
    return int(context.meta.get(_KEY, 0)) if context else 0


def is_quiet() -> bool:
    """Whether progress, notes and hints are unwanted; warnings and errors are always shown."""
    return level() < 0


def flags() -> list[str]:
    """Return the level as options, to be handed on to another command."""
    return ["--quiet"] if is_quiet() else ["--verbose"] * level()


def options() -> list[click.Option]:
    """Return the options -v and -q, which the group and every command take; the last one given counts."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            is_eager=True,
            expose_value=False,
            callback=_louder,
            help="Say more: options in force, versions, time; -vv: tracebacks.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_quieter,
            help="No progress and no hints; warnings and errors only.",
        ),
    ]


def _louder(context: click.Context, option: click.Parameter, count: int) -> None:
    if count:
        _set(context, option, count)


def _quieter(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        _set(context, option, -1)


def _set(context: click.Context, option: click.Parameter, value: int) -> None:
    """Remember the level; what was typed beats a variable."""
    source = context.get_parameter_source(option.name or "")
    if source is not click.core.ParameterSource.ENVIRONMENT or _KEY not in context.meta:
        context.meta[_KEY] = value


@contextmanager
def log_invocation(context: click.Context) -> Iterator[None]:
    """Say with -v which options are in force before a command runs, and what it cost afterwards."""
    if level() < 1:
        yield
        return
    for line in (_versions(), *_in_force(context)):
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
    """Return the versions that a bug report needs, without importing PyTorch."""
    from fer_lmdb._version import __version__

    return f"fer-lmdb {__version__} (Python {platform.python_version()}, torch {metadata.version('torch')})"


def _in_force(context: click.Context) -> Iterator[str]:
    """Yield a line per option that has a value, with where the value comes from."""
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
    """Return the process's largest memory so far as the end of a sentence; nothing where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f" and {peak / 2**20:,.0f} MiB at most"
