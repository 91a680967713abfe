"""The page docs/reference.md: the help of every command.

``python -m fer_lmdb.cli.reference docs/reference.md`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fer_lmdb.cli import COMMANDS, cli

COLUMNS = 100
HEAD = """# Reference

What `fer-lmdb COMMAND --help` prints, for all commands; `make docs` writes this page anew. How the pieces
belong together stands in the [tutorial](tutorial.md).

{contents}

## fer-lmdb

{help}
"""
SECTION = """
## {name}

{help}
"""


def to_markdown() -> str:
    """Return the page."""
    contents = "\n".join(f"- [{name}](#{name}): {summary}" for name, summary in COMMANDS.items())
    sections = [SECTION.format(name=name, help=_block(_help_of(name))) for name in COMMANDS]
    return HEAD.format(contents=contents, help=_block(_help_of_all())) + "".join(sections)


def _block(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def _context(name: str, command: click.Command, parent: click.Context | None = None) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=COLUMNS,
        max_content_width=COLUMNS,
        help_option_names=["-h", "--help"],
    )


def _help_of_all() -> str:
    return cli.get_help(_context("fer-lmdb", cli))


def _help_of(name: str) -> str:
    parent = _context("fer-lmdb", cli)
    command = cli.get_command(parent, name)
    assert command is not None, name
    return command.get_help(_context(name, command, parent))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(to_markdown(), encoding="utf-8")
