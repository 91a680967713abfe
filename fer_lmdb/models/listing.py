"""List of the pretrained models and the nets of the zoo, with their measured accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import prototxt_like as pl
from fer_lmdb.labels import FER2013
from fer_lmdb.models.registry import list_pretrained, load_model

ZOO_RESULTS = Path(__file__).parent / "zoo_results.json"
"""Nets trained with the zoo's recipe that are not in the package: training and evaluations by name."""


def list_models() -> list[dict[str, Any]]:
    """Return a row for each pretrained model and for each net without one.

    Returns:
        Rows of name, net, shipped, classes, parameters, trained and figures. "figures" are results of `evaluate` with
        split, n, accuracy, ci95 and tta; empty if the net was not trained yet. "trained" describes the training of a
        net without a pretrained model; that of a pretrained model is described in its card.
    """
    pretrained = [_pretrained_row(name) for name in list_pretrained()]
    nets = {row["net"] for row in pretrained}
    results = json.loads(ZOO_RESULTS.read_text(encoding="utf-8"))
    return pretrained + [_zoo_row(name, results.get(name, {})) for name in pl.zoo.names() if name not in nets]


def _pretrained_row(name: str) -> dict[str, Any]:
    model = load_model(name)
    return {
        "name": name,
        "net": model.name,
        "shipped": True,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "trained": None,
        "figures": model.metadata.evaluations,
    }


def _zoo_row(name: str, results: dict[str, Any]) -> dict[str, Any]:
    net = pl.Net(pl.zoo.path(name) / "deploy.prototxt", phase="TEST")
    return {
        "name": name,
        "net": name,
        "shipped": False,
        "classes": list(FER2013.classes),
        "parameters": sum(blob.numel() for blobs in net.params.values() for blob in blobs),
        "trained": results.get("trained"),
        "figures": results.get("figures", []),
    }
