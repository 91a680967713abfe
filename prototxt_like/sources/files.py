"""Find the files that a prototxt names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prototxt_like import glog
from prototxt_like.errors import FileError

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

#: Message of the file name of each data layer type.
_MESSAGES = {"Data": "data_param", "ImageData": "image_data_param", "HDF5Data": "hdf5_data_param"}


def find_file(name: str, folder: Path | None, what: str) -> str:
    """Return an existing path: the name from the working directory, or beside the prototxt.

    Args:
        name: File name in the prototxt.
        folder: Folder of the prototxt; None = the net was not read from a file.
        what: Name of the field and its layer, for messages.

    Raises:
        FileError: If neither exists.
    """
    if not name:
        raise FileError(f"{what} is missing; set it")
    candidates = [Path(name)] + ([folder / name] if folder is not None else [])
    for candidate in candidates:
        if candidate.exists():
            if candidate != Path(name):
                glog.info("io.cpp:1", f"{what}: using {candidate}, which lies beside the prototxt")
            return str(candidate)
    tried = " and ".join(dict.fromkeys(map(str, candidates)))
    raise FileError(f"{what} not found: tried {tried}; correct the path in the prototxt")


def resolve_files(layer: LayerParameter, folder: Path | None) -> None:
    """Replace the file names of a data layer by existing paths, in place.

    Raises:
        FileError: If a file is missing.
    """
    title = f'layer "{layer.name}" ({layer.type})'
    message = _MESSAGES.get(layer.type)
    if message is not None:
        options: Any = getattr(layer, message)
        options.source = find_file(options.source, folder, f"{title}: source")
    if layer.transform_param.mean_file:
        mean = layer.transform_param.mean_file
        layer.transform_param.mean_file = find_file(mean, folder, f"{title}: mean_file")
