"""Describe a fer-lmdb or Caffe file or folder, and optionally verify it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_lmdb.errors import SourceError
from fer_lmdb.io.images import printable_path
from fer_lmdb.models.artifact_kind import artifact_kind

Inspector = Callable[[Path, bool], dict[str, Any]]


def inspect(path: str | Path, verify: bool = False) -> dict[str, Any]:
    """Describe a file or folder.

    Args:
        path: Data set, database, mean image, prototxt, caffemodel, model or run, or the name of a pretrained model or
            zoo net.
        verify: Whether to read and check all of it.

    Returns:
        JSON-serializable document with ``kind`` and ``path``, keys that depend on the kind and, with `verify`,
        ``problems``: a list of messages, empty if none was found.

    Raises:
        SourceError: If the path does not exist or its kind is unknown.
        StoreError, DataSetError, FileError, ModelError, RunError: If it cannot be read.
    """
    found = resolve_path(path)
    kind = artifact_kind(found)
    if kind == "database" and found.is_file():
        found = found.parent
    return {"kind": kind, "path": printable_path(found), **_inspector(kind)(found, verify)}


def resolve_path(path: str | Path) -> Path:
    """Return an existing path, or the file of a pretrained model or zoo net.

    Raises:
        SourceError: If there is neither.
    """
    if Path(path).exists():
        return Path(path)
    from fer_lmdb.models.registry import list_pretrained, resolve_model  # imports torch, which a database does not need

    if str(path) in list_pretrained():
        return resolve_model(path)
    from prototxt_like import zoo

    if str(path) in zoo.names():
        return zoo.path(str(path)) / "train_val.prototxt"
    raise SourceError(f"{printable_path(path)}: not found; expected a file, a folder, or the name of a model or net")


def _inspector(kind: str) -> Inspector:
    """Return the function that describes a kind; only its own imports are loaded."""
    module, function = {
        "data set": ("data_sets", "inspect_data_set"),
        "database": ("databases", "inspect_database"),
        "mean": ("caffe_files", "inspect_mean"),
        "prototxt": ("caffe_files", "inspect_prototxt"),
        "caffemodel": ("caffe_files", "inspect_caffemodel"),
        "model": ("models_and_runs", "inspect_model"),
        "run": ("models_and_runs", "inspect_run"),
    }[kind]
    inspector: Inspector = getattr(import_module(f"fer_lmdb.inspection.{module}"), function)
    return inspector
