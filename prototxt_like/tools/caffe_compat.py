"""Detect and remove extensions that Caffe does not support."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter, SolverParameter

if TYPE_CHECKING:
    from google.protobuf.message import Message

FIRST_EXTENSION = 10000
#: Layer types that are extensions. In TEST they return their bottom unchanged.
EXTENSION_TYPES = frozenset({"GaussianNoise"})
#: Fields of forks other than SSD have numbers from here to ``FIRST_EXTENSION``.
FIRST_FORK_FIELD = 8000
#: Layer types of forks other than SSD.
FORK_TYPES = frozenset(
    {
        "BN",
        "ConvolutionDepthwise",
        "DepthwiseConvolution",
        "Interp",
        "ReLU6",
        "ROIPooling",
        "SmoothL1Loss",
        "Upsample",
    }
)
#: Solver types of Caffe 1.0.
CAFFE_SOLVERS = frozenset({"AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "SGD"})
#: Learning-rate policies of Caffe 1.0.
CAFFE_POLICIES = frozenset({"", "exp", "fixed", "inv", "multistep", "poly", "sigmoid", "step"})


def is_pure_caffe(message: Any) -> bool:
    """Return whether a message uses no extensions, so that Caffe can load it.

    Layers of the SSD fork count as Caffe's, those of other forks as extensions.

    Args:
        message: NetParameter, SolverParameter, ``Net``, or any other message of the schema.
    """
    return not extensions(message)


def extensions(message: Any) -> list[str]:
    """Return descriptions of all extensions used in a message; see ``is_pure_caffe``."""
    found = _extensions(getattr(message, "proto", message), "")
    return list(dict.fromkeys(found))


def strip_extensions(net: NetParameter) -> NetParameter:
    """Return a copy of a TEST net without extension layers and phase rules.

    Extension layers have no effect in TEST, so the outputs are equal.

    Args:
        net: Net of phase TEST, e.g. ``pl.Net(...).proto`` or a deploy.prototxt.

    Returns:
        Net that can be saved as a deploy.prototxt for Caffe and OpenCV 4.
    """
    pure = NetParameter()
    pure.CopyFrom(net)
    pure.ClearField("layer")
    pure.ClearField("state")
    replacements: dict[str, str] = {}
    for layer in net.layer:
        if layer.type in EXTENSION_TYPES:
            replacements[layer.top[0]] = replacements.get(layer.bottom[0], layer.bottom[0])
            continue
        written = pure.layer.add()
        written.CopyFrom(layer)
        for name in ("include", "exclude", "phase"):
            written.ClearField(name)
        written.bottom[:] = [replacements.get(name, name) for name in layer.bottom]
        for top in layer.top:
            replacements.pop(top, None)
    return pure


def _extensions(message: Message, owner: str) -> Iterator[str]:
    if isinstance(message, LayerParameter):
        owner = f'layer "{message.name}": '
        if message.type in EXTENSION_TYPES | FORK_TYPES:
            yield f"{owner}type {message.type}"
        if message.type == "SoftmaxWithLoss" and len(message.top) == 2:
            yield f"{owner}two tops of SoftmaxWithLoss"
        if message.type == "InfogainLoss" and len(message.top) == 2 and not message.loss_weight:
            yield f"{owner}two tops of InfogainLoss without loss_weight"
    if isinstance(message, SolverParameter):
        if message.type not in CAFFE_SOLVERS:
            yield f'type "{message.type}"'
        if message.lr_policy not in CAFFE_POLICIES:
            yield f'lr_policy "{message.lr_policy}"'
    for field, value in message.ListFields():
        if field.number >= FIRST_FORK_FIELD:
            yield f"{owner}{field.name} in {message.DESCRIPTOR.name}"
        elif field.message_type is not None and field.name != "blobs":
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _extensions(part, owner)
