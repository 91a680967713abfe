"""What there is to train and to use: the zoo's nets and the shipped models."""

from __future__ import annotations

from typing import Any

import prototxt_like as pl
from fer_lmdb import models
from fer_lmdb.labels import FER2013


def list_models() -> list[dict[str, Any]]:
    """Return a row per shipped model and per net without one.

    Returns:
        rows of name, net, shipped, classes, parameters and figures; a figure is what `evaluate`
        reported, with split, n, accuracy, ci95 and tta. No figure means: not trained yet.
    """
    shipped = [_shipped_row(name) for name in models.shipped_names()]
    known = {row["net"] for row in shipped}
    return shipped + [_zoo_row(name) for name in pl.zoo.names() if name not in known]


def _shipped_row(name: str) -> dict[str, Any]:
    model = models.load(name)
    return {
        "name": name,
        "net": model.name,
        "shipped": True,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "figures": model.facts.get("figures", []),
    }


def _zoo_row(name: str) -> dict[str, Any]:
    net = pl.Net(pl.zoo.path(name) / "deploy.prototxt", phase="TEST")
    return {
        "name": name,
        "net": name,
        "shipped": False,
        "classes": list(FER2013.classes),
        "parameters": sum(blob.numel() for blobs in net.params.values() for blob in blobs),
        "figures": [],
    }
