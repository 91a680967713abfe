"""Write the generated pages of the documentation: commands, models, layer types, migration.

python tools/write_docs.py                   # all pages
python tools/write_docs.py docs/models.md    # one page
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from fer_lmdb import renames
from fer_lmdb.cli import COMMANDS, cli
from fer_lmdb.cli.environment import variable_name
from fer_lmdb.evaluation.formatting import format_accuracy
from fer_lmdb.models.listing import list_models
from prototxt_like.tools.layer_docs import markdown as layers_page

DOCS = Path(__file__).resolve().parents[1] / "docs"
MOVED_MODULES = Path(__file__).with_name("moved_modules.json")
HELP_COLUMNS = 100
REFERENCE = """# Reference

The output of `fer-lmdb COMMAND --help` for all commands. `make docs` generates this page. The
[tutorial](tutorial.md) shows the commands in context, and [migration](migration.md) lists renamed options.

{contents}

## fer-lmdb

{help}
"""
MIGRATION_INTRODUCTION = """# Migration

Names that changed before the first release. `make docs` generates this page from
`fer_lmdb/renames.py`, which the program uses, too:

- An old option is an error that gives the new one. So is a set environment variable of an old option.
- Old data sets, runs, snapshots and models load, resume and evaluate. Readers accept old and new keys; writers use
  the new ones.
"""
MODELS_INTRODUCTION = """# Nets and models

`fer-lmdb predict --model NAME` uses a pretrained model by its name. Every net is a folder of the zoo with its
prototxts, origin and recipe: `fer-lmdb train --model NAME`. The number of classes follows the data set
(`fer-lmdb build --label-scheme merged` gives six). All accuracies were measured with `fer-lmdb evaluate`: "val" is
PublicTest and "test" is PrivateTest of FER2013. The model with eight classes is evaluated on FER+ labels.

## Pretrained models

| model | net | classes | parameters | accuracy |
|---|---|--:|--:|---|
"""
NETS_HEADING = """
## Nets to train

| net | parameters | accuracy |
|---|--:|---|
"""


def models_page(rows: list[dict[str, Any]]) -> str:
    """Return docs/models.md.

    Args:
        rows: Result of `fer_lmdb.models.listing.list_models`.
    """
    pretrained = [_pretrained_line(row) for row in rows if row["shipped"]]
    nets = [_net_line(row) for row in rows if not row["shipped"]]
    return MODELS_INTRODUCTION + "".join(pretrained) + NETS_HEADING + "".join(nets)


def _pretrained_line(row: dict[str, Any]) -> str:
    card = f"[{row['name']}](cards/{row['name']}.md)"
    return f"| {card} | {_zoo_link(row)} | {len(row['classes'])} | {row['parameters']:,} | {_results(row)} |\n"


def _net_line(row: dict[str, Any]) -> str:
    return f"| {_zoo_link(row)} | {row['parameters']:,} | {_results(row)} |\n"


def _zoo_link(row: dict[str, Any]) -> str:
    return f"[{row['net']}](../prototxt_like/zoo/{row['net']}/README.md)"


def _results(row: dict[str, Any]) -> str:
    lines = [f"{each['split']} {format_accuracy(each, interval=True)}" for each in row["figures"]]
    lines = lines or ["not trained yet"]
    return "<br>".join([*lines, row["trained"]] if row["trained"] else lines)


def reference_page() -> str:
    """Return docs/reference.md: the help of every command."""
    contents = "\n".join(f"- [{name}](#{name}): {summary}" for name, summary in COMMANDS.items())
    context = _help_context("fer-lmdb", cli)
    sections = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        help_text = command.get_help(_help_context(name, command, context))
        sections.append(f"\n## {name}\n\n{_code_block(help_text)}\n")
    return REFERENCE.format(contents=contents, help=_code_block(cli.get_help(context))) + "".join(sections)


def _code_block(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def _help_context(name: str, command: click.Command, parent: click.Context | None = None) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=HELP_COLUMNS,
        max_content_width=HELP_COLUMNS,
        help_option_names=["-h", "--help"],
    )


def migration_page() -> str:
    """Return docs/migration.md: old and new names."""
    moved = json.loads(MOVED_MODULES.read_text(encoding="utf-8"))
    sections = [
        MIGRATION_INTRODUCTION,
        "## Options and environment variables\n",
        _table(("command", "old", "new", "old variable", "new variable"), _option_rows()),
        "## Stored keys\n",
        _table(("where", "old", "new"), _nested_rows(renames.STORED)),
        "## Stored values\n",
        _table(("where", "old", "new"), _nested_rows(renames.VALUES)),
        "## Files of a run folder\n",
        _table(("old", "new"), ((_code(old), _code(new)) for old, new in renames.FILES.items())),
        "## Public Python names\n",
        _table(("old", "new"), ((_code(old), _code(new)) for old, new in renames.IMPORTS.items())),
        "## Arguments\n",
        _table(("where", "old", "new"), _nested_rows(renames.ARGUMENTS)),
        "## Modules\n",
        "These modules are internal, except for the names in [Python API](api.md).\n"
        "The names of `import prototxt_like` did not move.\n",
        _table(("old", "new"), ((_code(old), _code(new)) for old, new in moved.items())),
    ]
    return "\n".join(sections).rstrip("\n") + "\n"


def _option_rows() -> Iterable[tuple[str, ...]]:
    for command, options in renames.OPTIONS.items():
        for old, new in options.items():
            names = (old, new, variable_name(old, command), variable_name(new, command))
            yield command, *map(_code, names)


def _nested_rows(tables: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, ...]]:
    for place, names in tables.items():
        for old, new in names.items():
            yield place, _code(old), _code(new)


def _code(text: str) -> str:
    return f"`{text}`"


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference.md": reference_page,
    "models.md": lambda: models_page(list_models()),
    "prototxt.md": layers_page,
    "migration.md": migration_page,
}


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or (DOCS / name for name in PAGES)):
        path.write_text(PAGES[path.name](), encoding="utf-8")
