"""Models of a training run, and their metadata."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb._version import __version__
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.models.model import Model
from fer_lmdb.training.init_weights import InitReport
from fer_lmdb.training.recipe import Recipe


def training_metadata(
    recipe: Recipe, data: DataSet, dtype: torch.dtype, init_report: InitReport | None
) -> dict[str, Any]:
    """Return what a model file records of its training."""
    return {
        "init": init_report.to_dict() if init_report else None,
        "recipe": {
            **recipe.to_dict(),
            "solver": pl.to_text(recipe.solver),
            "transform": pl.to_text(recipe.transform("TRAIN")),
            "precision": str(dtype),
        },
        "data": data.fingerprint(),
        "versions": versions(),
    }


def make_model(
    recipe: Recipe, data: DataSet, mean: np.ndarray | None, weights: Mapping[str, Tensor], metadata: dict[str, Any]
) -> Model:
    """Return weights as a model of a recipe and a data set."""
    return Model(
        name=recipe.name,
        deploy_prototxt=pl.to_text(recipe.deploy),
        transform_prototxt=pl.to_text(recipe.transform("TEST")),
        weights=weights,
        mean=mean,
        scheme=data.scheme,
        preprocessing=data.preprocessing,
        metadata=ModelMetadata(metadata),
    )


def versions() -> dict[str, str]:
    """Return the versions and the machine that the results of a run may depend on."""
    return {
        "fer-lmdb": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
