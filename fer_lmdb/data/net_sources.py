"""Data of a net in a folder: the sources and the mean file of its data layers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import prototxt_like as pl
from fer_lmdb.data.manifest import FILE_NAME
from fer_lmdb.errors import DataSetError

DEFAULT_DATA = "data/fer2013"
SPLITS = {"TRAIN": "train", "TEST": "test"}

log = logging.getLogger(__name__)


def find_data(model: str) -> str:
    """Return the data set of a net: the sources of its train_val.prototxt, or data/fer2013 for a net of the zoo.

    Relative paths are tried from the working directory, then beside the prototxt.

    Args:
        model: Name of a zoo net, or a folder with train_val.prototxt.

    Raises:
        DataSetError: If a source does not exist, or is not a database.
    """
    path = Path(model) / "train_val.prototxt"
    if not path.is_file():
        return DEFAULT_DATA
    files = dict(_sources(pl.read_net(path), path))
    if not files:
        return DEFAULT_DATA
    folder = Path(files.get("train", ".")).parent
    if (folder / FILE_NAME).is_file():
        return str(folder)
    location = ",".join(f"{name}={file}" for name, file in files.items())
    log.warning("%s: data of the net: %s", path, location)
    return location


def _sources(net: pl.NetParameter, path: Path) -> Iterator[tuple[str, str]]:
    """Yield the databases by split, and the mean file of the first layer that has one."""
    mean = None
    for phase, split in SPLITS.items():
        layer = _data_layer(net, phase)
        if layer is None:
            continue
        if layer.type != "Data":
            raise DataSetError(
                f'{path}: layer "{layer.name}" is {layer.type}, expected Data; convert its list with fer-lmdb build, '
                "or train with: python -m prototxt_like train"
            )
        if layer.data_param.source:
            yield split, _find(layer.data_param.source, path, f'source of layer "{layer.name}"')
            mean = mean or layer.transform_param.mean_file
    if mean:
        yield "mean", _find(mean, path, "mean_file")


def _data_layer(net: pl.NetParameter, phase: str) -> pl.LayerParameter | None:
    kinds = ("Data", "ImageData", "HDF5Data", "WindowData")
    for layer in net.layer:
        phases = {pl.Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")}
        if layer.type in kinds and (not phases or phase in phases):
            return layer
    return None


def _find(name: str, path: Path, what: str) -> str:
    candidates = list(dict.fromkeys([Path(name), path.parent / name]))
    for candidate in candidates:
        if candidate.exists():
            return str(candidate)
    tried = " and ".join(map(str, candidates))
    raise DataSetError(f"{path}: the {what} was not found: tried {tried}; correct it, or pass --data")
