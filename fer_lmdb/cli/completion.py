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
# bash: complete in this terminal; the line in ~/.bashrc does it in every new one
eval "$(fer-lmdb completion bash)"
# zsh: the same line in ~/.zshrc, after compinit
eval "$(fer-lmdb completion zsh)"
# fish: once
fer-lmdb completion fish > ~/.config/fish/completions/fer-lmdb.fish
"""


@click.command("completion", cls=Command, examples=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@json_option
def command(shell: str | None, as_json: bool) -> None:
    """Print the script that makes the tab key complete fer-lmdb.

    Commands, options, choices, models, nets, runs, data sets, detectors and files
    are completed. SHELL is the one you use, unless you name it.
    """
    shell = shell or _own_shell()
    script = completion_script(shell)
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)


def completion_script(shell: str) -> str:
    """Return the script that a shell evaluates; it calls ``fer-lmdb`` whenever the tab key is pressed."""
    from fer_lmdb.cli import cli

    made_by = get_completion_class(shell)
    assert made_by is not None, shell
    maker = made_by(cli, {}, "fer-lmdb", "_FER_LMDB_COMPLETE")
    return maker.source_template % maker.source_vars()


def _own_shell() -> str:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        found = f"yours is {shell}" if shell else "SHELL is not set"
        raise click.UsageError(f"Which shell? {found}; name one of {', '.join(SHELLS)}")
    return shell
