"""Lookup and loading of models: pretrained names, model files, run folders and names of runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from fer_lmdb.errors import ModelError
from fer_lmdb.models.caffe_files import is_caffe_folder
from fer_lmdb.models.caffe_import import read_caffe_model
from fer_lmdb.models.model import PRETRAINED_DIR, Model, read_model
from fer_lmdb.models.run_folder import BEST, CONFIG, LAST, RUNS
from prototxt_like.suggest import did_you_mean

log = logging.getLogger(__name__)

DEFAULT_MODEL = "fer_mini"

ModelSource = str | os.PathLike[str]
"""Pretrained name, path of a model file, run folder or folder with Caffe's files, or name of a run in runs/."""


def list_pretrained() -> list[str]:
    """Return the names of the models in the package."""
    return sorted(path.stem for path in PRETRAINED_DIR.glob("*.safetensors"))


def load_model(source: ModelSource) -> Model:
    """Load a model.

    Args:
        source: Pretrained name, model file, run folder (its best model), name of a run in runs/, or folder with a
            deploy prototxt and a caffemodel.

    Raises:
        ModelError: If there is no such model, or the file is damaged or not a model.
    """
    return read_any_model(resolve_model(source))


def read_any_model(path: Path) -> Model:
    """Read a model file, or a folder with Caffe's files; what the latter do not contain is assumed and logged.

    Raises:
        ModelError: If the model is damaged, or no model.
    """
    if not path.is_dir():
        return read_model(path)
    result = read_caffe_model(path)
    for line in [*result.notes, *(f"assumed {line}" for line in result.assumptions)]:
        log.warning("%s: %s", path, line)
    return result.model


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
    if is_caffe_folder(path) and not any((path / name).is_file() for name in (BEST, LAST, CONFIG)):
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
