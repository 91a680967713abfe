"""The nets that come with the package: a folder each, with train_val, solver and deploy prototxt."""

from __future__ import annotations

from pathlib import Path

from prototxt_like.errors import FileError, NetError
from prototxt_like.nearest import did_you_mean
from prototxt_like.schema.caffe_schema_pb2 import NetParameter

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Every net's name, sorted."""
    return sorted(file.parent.name for file in _FOLDER.glob("*/train_val.prototxt"))


def path(name: str) -> Path:
    """The folder of a net: train_val.prototxt, solver.prototxt, deploy.prototxt, README.md.

    Raises:
        FileError: no such net; the message names the nearest.
    """
    if name not in names():
        raise FileError(f'the zoo has no net "{name}"{did_you_mean(name, names())}')
    return _FOLDER / name


def set_classes(net: NetParameter, classes: int) -> NetParameter:
    """Return a copy of a net whose last InnerProduct has that many outputs.

    Raises:
        NetError: the net has no InnerProduct layer.
    """
    copy = NetParameter()
    copy.CopyFrom(net)
    last = [layer for layer in copy.layer if layer.type == "InnerProduct"][-1:]
    if not last:
        raise NetError(f'net "{net.name}": no InnerProduct layer whose outputs could be set to {classes} classes')
    last[0].inner_product_param.num_output = classes
    return copy
