"""Zoo of nets: one folder per net with train_val.prototxt, solver.prototxt and deploy.prototxt."""

from __future__ import annotations

from pathlib import Path

from prototxt_like.errors import FileError, NetError
from prototxt_like.io.files import read_net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter
from prototxt_like.suggest import did_you_mean

_FOLDER = Path(__file__).parent
_READERS_OF_SCORES = ("Softmax", "SoftmaxWithLoss", "Accuracy")


def names() -> list[str]:
    """Return the names of all nets, sorted."""
    return sorted(file.parent.name for file in _FOLDER.glob("*/train_val.prototxt"))


def path(name: str) -> Path:
    """Return the folder of a net: train_val.prototxt, solver.prototxt, deploy.prototxt, README.md.

    Raises:
        FileError: If there is no such net. The message contains the most similar name.
    """
    if name not in names():
        hint = did_you_mean(name, names()) or f"; expected one of {', '.join(names())}"
        raise FileError(f'the zoo has no net "{name}"{hint}')
    return _FOLDER / name


def load(name: str, classes: int = 7, form: str = "train_val") -> NetParameter:
    """Return a zoo net with a given number of classes.

    Args:
        name: Name from ``names()``.
        classes: Number of classes, 2 or more.
        form: "train_val" or "deploy".

    Raises:
        FileError: If there is no such net or form.
        NetError: If there are fewer than two classes.
    """
    return set_num_classes(read_net(path(name) / f"{form}.prototxt"), classes)


def set_num_classes(net: NetParameter, classes: int) -> NetParameter:
    """Return a copy of a net with another number of classes.

    Classifiers are the InnerProduct layers that feed a Softmax, a loss or an Accuracy, or else the last InnerProduct.

    Raises:
        NetError: If there are fewer than two classes, or the net has no InnerProduct layer.
    """
    if classes < 2:
        raise NetError(f"invalid number of classes: found {classes}, expected 2 or more")
    copy = NetParameter()
    copy.CopyFrom(net)
    for layer in classifiers(copy):
        layer.inner_product_param.num_output = classes
    return copy


def classifiers(net: NetParameter) -> list[LayerParameter]:
    """Return the classifier layers of a net; see ``set_num_classes``.

    Raises:
        NetError: If the net has no InnerProduct layer.
    """
    scores = {layer.bottom[0] for layer in net.layer if layer.type in _READERS_OF_SCORES and layer.bottom}
    products = [layer for layer in net.layer if layer.type == "InnerProduct"]
    if not products:
        raise NetError(f'net "{net.name}" has no InnerProduct layer; the number of classes cannot be set')
    return [layer for layer in products if scores.intersection(layer.top)] or products[-1:]
