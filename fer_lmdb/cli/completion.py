"""``fer-lmdb completion``."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit
from fer_lmdb.cli.shared_options import json_option

SHELLS = ("bash", "zsh", "fish")


EXAMPLES = """
# bash: this terminal; add the line to ~/.bashrc for all terminals
eval "$(fer-lmdb completion bash)"
# zsh: this terminal; add the line to ~/.zshrc, after compinit
eval "$(fer-lmdb completion zsh)"
# fish: once
fer-lmdb completion fish > ~/.config/fish/completions/fer-lmdb.fish
"""


@click.command("completion", cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@json_option
def command(shell: str | None, as_json: bool) -> None:
    """Print the script for tab completion of fer-lmdb.

    It completes commands, options, choices, models, nets, runs, data sets, detectors
    and files. The default SHELL is the one in the environment variable SHELL.
    """
    shell = shell or _own_shell()
    script = completion_script(shell)
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)


def completion_script(shell: str) -> str:
    """Return the completion script of a shell."""
    from fer_lmdb.cli import cli

    completion_class = get_completion_class(shell)
    assert completion_class is not None, shell
    completion = completion_class(cli, {}, "fer-lmdb", "_FER_LMDB_COMPLETE")
    return completion.source_template % completion.source_vars()


def _own_shell() -> str:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        found = f'SHELL is "{shell}"' if shell else "SHELL is not set"
        raise click.UsageError(f"unknown shell: {found}; pass one of {', '.join(SHELLS)}")
    return shell
