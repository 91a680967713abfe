"""Lookup and loading of models: pretrained names, model files, run folders and names of runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fer_lmdb.errors import ModelError
from fer_lmdb.models.model import PRETRAINED_DIR, Model, read_model
from fer_lmdb.models.run_folder import BEST, CONFIG, LAST, RUNS
from prototxt_like.suggest import did_you_mean

DEFAULT_MODEL = "fer_mini"

ModelSource = str | os.PathLike[str]
"""Pretrained name, path of a model file or run folder, or name of a run in runs/."""


def list_pretrained() -> list[str]:
    """Return the names of the models in the package."""
    return sorted(path.stem for path in PRETRAINED_DIR.glob("*.safetensors"))


def load_model(source: ModelSource) -> Model:
    """Load a model.

    Args:
        source: Pretrained name, model file, run folder (its best model) or name of a run in runs/.

    Raises:
        ModelError: If there is no such model, or the file is damaged or not a model.
    """
    return read_model(resolve_model(source))


def resolve_model(source: ModelSource) -> Path:
    """Return the model file of a pretrained name, file, run folder or name of a run in runs/.

    Raises:
        ModelError: If there is no such model.
    """
    name = os.fspath(source)
    if name in list_pretrained():  # compared as text: PRETRAINED_DIR / "/absolute/path" is "/absolute/path"
        return PRETRAINED_DIR / f"{name}.safetensors"
    path = Path(name)
    if path.is_file():
        return path
    folders = [path, RUNS / path] if len(path.parts) == 1 else [path]
    for file in (folder / model for folder in folders for model in (BEST, LAST)):
        if file.is_file():
            return file
    if path.is_dir():
        raise ModelError(f"{path}: no {BEST} found; pass a run whose first epoch is complete")
    known = [*list_pretrained(), *(file.parent.as_posix() for file in RUNS.glob(f"*/{BEST}"))]
    hint = did_you_mean(name, known)
    raise ModelError(f'no model "{name}": not a file, a run folder or a pretrained model{hint}')


def resolve_members(sources: Sequence[ModelSource]) -> list[str]:
    """Replace folders of models by their contents, in order.

    A folder of models is not a run: it contains .safetensors files, like the checkpoints/ of a run, or else runs.

    Raises:
        ModelError: If no model is given.
    """
    members = [member for source in sources for member in _members(os.fspath(source))]
    if not members:
        raise ModelError("no model given; pass at least one")
    return members


def _members(name: str) -> list[str]:
    folder = Path(name)
    if not folder.is_dir() or (folder / CONFIG).is_file() or (folder / BEST).is_file():
        return [name]
    files = sorted(folder.glob("*.safetensors"))
    runs = sorted(path.parent for path in folder.glob(f"*/{BEST}"))
    return [str(path) for path in files or runs] or [name]
