"""Write the documentation pages that are generated from the program.

python tools/write_docs.py docs/models.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_lmdb.evaluation.formatting import format_accuracy
from fer_lmdb.models.listing import list_models

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


PAGES: dict[str, Callable[[], str]] = {"models.md": lambda: models_page(list_models())}


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(PAGES[path.name](), encoding="utf-8")
