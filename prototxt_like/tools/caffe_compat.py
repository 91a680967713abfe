"""What in a message real Caffe would not understand, and how to do without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter, SolverParameter

if TYPE_CHECKING:
    from google.protobuf.message import Message

FIRST_EXTENSION = 10000
#: Layer types of our own. In TEST each of them passes its bottom on unchanged.
EXTENSION_TYPES = frozenset({"GaussianNoise"})
#: Values of a solver's type that Caffe 1.0 knows.
CAFFE_SOLVERS = frozenset({"AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "SGD"})
#: Values of lr_policy that Caffe 1.0 follows.
CAFFE_POLICIES = frozenset({"", "exp", "fixed", "inv", "multistep", "poly", "sigmoid", "step"})


def is_pure_caffe(message: Any) -> bool:
    """Whether a file with this message loads in real Caffe.

    Layers of the SSD fork count as Caffe's, since that fork is where such files come from and go to.

    Args:
        message: a NetParameter, a SolverParameter, a ``Net``, or any message of the schema.
    """
    return not extensions(message)


def extensions(message: Any) -> list[str]:
    """Everything in a message that only this package understands, in words; see ``is_pure_caffe``."""
    found = _extensions(getattr(message, "proto", message), "")
    return list(dict.fromkeys(found))


def strip_extensions(net: NetParameter) -> NetParameter:
    """A copy of a TEST net without the layers that only this package knows, and without the rules of phase.

    Such layers do nothing in TEST, so the net computes the same.

    Args:
        net: a net as ``pl.Net(...).proto`` or a deploy.prototxt holds it.

    Returns:
        The net as a deploy.prototxt for Caffe and for OpenCV 4.
    """
    pure = NetParameter()
    pure.CopyFrom(net)
    pure.ClearField("layer")
    pure.ClearField("state")
    standing_for: dict[str, str] = {}
    for layer in net.layer:
        if layer.type in EXTENSION_TYPES:
            standing_for[layer.top[0]] = standing_for.get(layer.bottom[0], layer.bottom[0])
            continue
        written = pure.layer.add()
        written.CopyFrom(layer)
        for name in ("include", "exclude", "phase"):
            written.ClearField(name)
        written.bottom[:] = [standing_for.get(name, name) for name in layer.bottom]
        for top in layer.top:
            standing_for.pop(top, None)
    return pure


def _extensions(message: Message, owner: str) -> Iterator[str]:
    if isinstance(message, LayerParameter):
        owner = f'layer "{message.name}": '
        if message.type in EXTENSION_TYPES:
            yield f"{owner}type {message.type}"
    if isinstance(message, SolverParameter):
        if message.type not in CAFFE_SOLVERS:
            yield f'type "{message.type}"'
        if message.lr_policy not in CAFFE_POLICIES:
            yield f'lr_policy "{message.lr_policy}"'
    for field, value in message.ListFields():
        if field.number >= FIRST_EXTENSION:
            yield f"{owner}{field.name} in {message.DESCRIPTOR.name}"
        elif field.message_type is not None and field.name != "blobs":
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _extensions(part, owner)
