"""What there is to train and to use: the zoo's nets and the shipped models.

``python -m fer_lmdb.models.listing docs/models.md`` writes the table of the documentation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import prototxt_like as pl
from fer_lmdb.labels import FER2013
from fer_lmdb.models import model as models

#: Nets that were trained by the zoo's recipe and are not shipped: by name, how they were trained, and their figures.
ZOO_RESULTS = Path(__file__).parent / "zoo_results.json"


def list_models() -> list[dict[str, Any]]:
    """Return a row per shipped model and per net without one.

    Returns:
        rows of name, net, shipped, classes, parameters, trained and figures; a figure is what `evaluate`
        reported, with split, n, accuracy, ci95 and tta. No figure means: not trained yet. `trained` says
        how a net that is not shipped was trained; of a shipped one its card says so.
    """
    shipped = [_pretrained_row(name) for name in models.list_pretrained()]
    known = {row["net"] for row in shipped}
    measured = json.loads(ZOO_RESULTS.read_text(encoding="utf-8"))
    return shipped + [_zoo_row(name, measured.get(name, {})) for name in pl.zoo.names() if name not in known]


def _pretrained_row(name: str) -> dict[str, Any]:
    model = models.load_model(name)
    return {
        "name": name,
        "net": model.name,
        "shipped": True,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "trained": None,
        "figures": model.metadata.get("evaluations", []),
    }


def _zoo_row(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    net = pl.Net(pl.zoo.path(name) / "deploy.prototxt", phase="TEST")
    return {
        "name": name,
        "net": name,
        "shipped": False,
        "classes": list(FER2013.classes),
        "parameters": sum(blob.numel() for blobs in net.params.values() for blob in blobs),
        "trained": measured.get("trained"),
        "figures": measured.get("figures", []),
    }


INTRODUCTION = """# Nets and models

A shipped model is used by its name: `fer-lmdb predict --model NAME`. Every net is a folder of the zoo with its
prototxts, its origin and its recipe: `fer-lmdb train --model NAME`; the number of classes follows the data set
(`fer-lmdb build --classes merged` gives six). Figures were measured by this project with `fer-lmdb evaluate`: "val" is
PublicTest and "test" PrivateTest of FER2013; a model of eight classes is measured by FER+'s labels. In brackets
95 % intervals.

## Shipped models

| model | net | classes | parameters | accuracy |
|---|---|--:|--:|---|
"""
NETS = """
## Nets to train

| net | parameters | accuracy |
|---|--:|---|
"""


def to_markdown(rows: list[dict[str, Any]]) -> str:
    """Return the documentation's tables of nets and models."""
    shipped = [_pretrained_line(row) for row in rows if row["shipped"]]
    return INTRODUCTION + "".join(shipped) + NETS + "".join(_net_line(row) for row in rows if not row["shipped"])


def _pretrained_line(row: dict[str, Any]) -> str:
    card = f"[{row['name']}](cards/{row['name']}.md)"
    return f"| {card} | {_zoo(row)} | {len(row['classes'])} | {row['parameters']:,} | {_results(row)} |\n"


def _net_line(row: dict[str, Any]) -> str:
    return f"| {_zoo(row)} | {row['parameters']:,} | {_results(row)} |\n"


def _zoo(row: dict[str, Any]) -> str:
    return f"[{row['net']}](../prototxt_like/zoo/{row['net']}/README.md)"


def _results(row: dict[str, Any]) -> str:
    lines = [_result(figure) for figure in row["figures"]] or ["not trained yet"]
    return "<br>".join([*lines, row["trained"]] if row["trained"] else lines)


def _result(figure: dict[str, Any]) -> str:
    low, high = (f"{100 * value:.2f}" for value in figure["ci95"])
    share = f"{100 * figure['accuracy']:.2f} % ({low} to {high} %)"
    views = "1 view" if figure["tta"] == 1 else f"{figure['tta']} views"
    return f"{figure['split']} {share}, N = {figure['n']:,}, {views}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(to_markdown(list_models()), encoding="utf-8")
