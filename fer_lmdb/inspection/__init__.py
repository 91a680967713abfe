"""Say what a file or folder holds, whatever of ours or Caffe's it is; check it on request.

`inspect` finds out what a path is and asks the part that knows that kind. The answer is a plain document:
``kind`` and ``path``, what there is to tell, and ``problems`` where a check was asked for (empty: none found).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_lmdb.errors import SourceError
from fer_lmdb.io.images import printable_path

Inspector = Callable[[Path, bool], dict[str, Any]]

BY_FILE_IN_FOLDER = {"manifest.json": "data set", "data.mdb": "database", "run.json": "run"}
BY_SUFFIX = {
    ".mdb": "database",
    ".binaryproto": "mean",
    ".prototxt": "prototxt",
    ".pbtxt": "prototxt",
    ".caffemodel": "caffemodel",
    ".safetensors": "model",
}


def inspect(path: str | Path, *, verify: bool = False) -> dict[str, Any]:
    """Say what lies at a path.

    Args:
        path: a data set, database, mean image, prototxt, caffemodel, model or run; or the name of a shipped model
            or of a net of the zoo.
        verify: check it from end to end.
    Returns:
        a document of plain values.
    Raises:
        SourceError: there is nothing, or nothing that is known.
        StoreError, DataSetError, FileError, ModelError, RunError: it cannot be read at all.
    """
    found = resolve(path)
    kind = artifact_kind(found)
    if kind == "database" and found.is_file():
        found = found.parent
    return {"kind": kind, "path": printable_path(found), **_inspector(kind)(found, verify)}


def resolve(path: str | Path) -> Path:
    """Return the path of what is meant: itself, or the file behind a name."""
    if Path(path).exists():
        return Path(path)
    from fer_lmdb.models import model  # it imports torch, which a database does not need

    if str(path) in model.list_pretrained():
        return model.resolve_model(path)
    from prototxt_like import zoo

    if str(path) in zoo.names():
        return zoo.path(str(path)) / "train_val.prototxt"
    raise SourceError(f"there is no {printable_path(path)}: neither a file or folder nor the name of a model or net")


def artifact_kind(path: Path) -> str:
    """Tell what a file or folder is.

    Raises:
        SourceError: nothing that is known.
    """
    if path.is_dir():
        for name, kind in BY_FILE_IN_FOLDER.items():
            if (path / name).is_file():
                return kind
        raise SourceError(
            f"{printable_path(path)} holds none of {', '.join(BY_FILE_IN_FOLDER)}; "
            "expected a data set, a database or a run"
        )
    if path.suffix.lower() not in BY_SUFFIX:
        raise SourceError(f"{printable_path(path)}: unknown kind of file; expected one of {', '.join(BY_SUFFIX)}")
    return BY_SUFFIX[path.suffix.lower()]


def _inspector(kind: str) -> Inspector:
    if kind in ("data set", "database"):
        from fer_lmdb.inspection import databases

        return databases.inspect_data_set if kind == "data set" else databases.inspect_database
    if kind in ("model", "run"):
        from fer_lmdb.inspection import models_and_runs

        return models_and_runs.inspect_model if kind == "model" else models_and_runs.inspect_run
    from fer_lmdb.inspection import caffe_files

    return {
        "mean": caffe_files.inspect_mean,
        "prototxt": caffe_files.inspect_prototxt,
        "caffemodel": caffe_files.inspect_caffemodel,
    }[kind]
