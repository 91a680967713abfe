"""The nets that come with the package: a folder each, with train_val, solver and deploy prototxt."""

from __future__ import annotations

from pathlib import Path

from prototxt_like.errors import FileError, NetError
from prototxt_like.io.files import read_net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter
from prototxt_like.suggest import did_you_mean

_FOLDER = Path(__file__).parent
_READERS_OF_SCORES = ("Softmax", "SoftmaxWithLoss", "Accuracy")


def names() -> list[str]:
    """Every net's name, sorted."""
    return sorted(file.parent.name for file in _FOLDER.glob("*/train_val.prototxt"))


def path(name: str) -> Path:
    """The folder of a net: train_val.prototxt, solver.prototxt, deploy.prototxt, README.md.

    Raises:
        FileError: no such net; the message names the nearest.
    """
    if name not in names():
        hint = did_you_mean(name, names()) or f"; there are: {', '.join(names())}; a net of your own is a folder"
        raise FileError(f'the zoo has no net "{name}"{hint}')
    return _FOLDER / name


def load(name: str, classes: int = 7, form: str = "train_val") -> NetParameter:
    """A net of the zoo, ready for a number of classes.

    Args:
        name: one of ``names()``.
        classes: outputs of the last layer.
        form: "train_val" or "deploy".

    Raises:
        FileError: no such net or form.
    """
    return set_num_classes(read_net(path(name) / f"{form}.prototxt"), classes)


def set_num_classes(net: NetParameter, classes: int) -> NetParameter:
    """A copy of a net that tells that many classes apart.

    Every InnerProduct that feeds a Softmax, a loss or an Accuracy is a classifier; a net without any of these has
    its last InnerProduct for one.

    Raises:
        NetError: fewer than two classes, or no InnerProduct layer.
    """
    if classes < 2:
        raise NetError(f"{classes} classes asked for; a classifier needs two or more")
    copy = NetParameter()
    copy.CopyFrom(net)
    for layer in classifiers(copy):
        layer.inner_product_param.num_output = classes
    return copy


def classifiers(net: NetParameter) -> list[LayerParameter]:
    """The layers of a net whose outputs are the classes, as `set_num_classes` finds them.

    Raises:
        NetError: no InnerProduct layer.
    """
    scores = {layer.bottom[0] for layer in net.layer if layer.type in _READERS_OF_SCORES and layer.bottom}
    products = [layer for layer in net.layer if layer.type == "InnerProduct"]
    if not products:
        raise NetError(f'net "{net.name}": no InnerProduct layer whose outputs could be set to the classes')
    return [layer for layer in products if scores.intersection(layer.top)] or products[-1:]
