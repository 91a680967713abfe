"""Data set of a model: the one its run was trained on, or that of its net."""

from __future__ import annotations

from pathlib import Path

from fer_lmdb.data.net_sources import DEFAULT_DATA, find_data
from fer_lmdb.errors import ModelError, RunError
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource, resolve_model
from fer_lmdb.models.run_folder import RunFolder


def default_data(model: Model | ModelSource) -> str:
    """Return the data set that run.json of the model's run records, or that of its net, or data/fer2013.

    Raises:
        DataSetError: If a source of the net does not exist.
    """
    if isinstance(model, Model):
        return DEFAULT_DATA
    try:
        folder = resolve_model(model).parent
    except ModelError:
        folder = Path(model)
    try:
        recorded = RunFolder(folder).read_config()["options"]["data"]
    except (RunError, KeyError):
        recorded = None
    return recorded or find_data(str(model))
