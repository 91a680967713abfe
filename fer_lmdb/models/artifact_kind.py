"""Kind of a file or folder: data set, database, run, model or one of Caffe's files."""

from __future__ import annotations

from pathlib import Path

from fer_lmdb.errors import SourceError
from fer_lmdb.io.images import printable_path
from prototxt_like.io.datum_store import is_database

KIND_BY_CONTENT = {"manifest.json": "data set", "data.mdb": "database", "run.json": "run"}
"""Kind of a folder by a file that it contains."""
KIND_BY_SUFFIX = {
    ".mdb": "database",
    ".binaryproto": "mean",
    ".prototxt": "prototxt",
    ".pbtxt": "prototxt",
    ".caffemodel": "caffemodel",
    ".safetensors": "model",
}


def artifact_kind(path: Path) -> str:
    """Return the kind of a file or folder: a value of `KIND_BY_CONTENT` or `KIND_BY_SUFFIX`.

    Raises:
        SourceError: If the path does not exist or the kind is unknown.
    """
    if not path.exists():
        raise SourceError(f"{printable_path(path)} does not exist")
    if path.is_dir():
        for name, kind in KIND_BY_CONTENT.items():
            if (path / name).is_file():
                return kind
        if is_database(path):
            return "database"  # a LevelDB
        if any(map(is_database, path.iterdir())):
            return "data set"  # of Caffe's tools, without a manifest
        raise SourceError(
            f"{printable_path(path)} is not a data set, database or run: expected a folder with one of "
            f"{', '.join(KIND_BY_CONTENT)}, or a folder of databases"
        )
    if path.suffix.lower() not in KIND_BY_SUFFIX:
        raise SourceError(f"{printable_path(path)}: unknown file type; expected one of {', '.join(KIND_BY_SUFFIX)}")
    return KIND_BY_SUFFIX[path.suffix.lower()]
