"""What a net consists of, in numbers: shapes, parameters, multiply-adds, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from prototxt_like.layers import Layer
from prototxt_like.net.inputs import is_input
from prototxt_like.net.net import Net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

BYTES = 4  # of a float32
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a net; its figures are those of one picture.

    Args:
        name: of the layer.
        type: of the layer.
        bottoms: names of the blobs that it reads.
        tops: names of the blobs that it makes.
        top_shapes: one per top, with the batch size for which the net was built.
        parameters: values in its blobs that a solver may change; shared ones count where they stand first.
        statistics: values in its other blobs, as BatchNorm has them.
        multiply_adds: multiplications with a weight for one picture.
        memory: bytes of its tops for one picture in float32; 0 for a layer that works in place.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    top_shapes: tuple[Shape, ...]
    parameters: int
    statistics: int
    multiply_adds: int
    memory: int


def summary(net: Net) -> list[LayerSummary]:
    """The layers of a net in the order in which they run, the inputs first among them.

    Only shapes are looked at: ``with torch.device("meta"): net = pl.Net(...)`` builds any net without its memory.

    Args:
        net: the net.
    """
    layers = iter(net.caffe_layers)
    counted: set[int] = set()  # parameters that an earlier layer has
    return [
        _input_row(net, message) if is_input(message) else _layer_row(message, next(layers), counted)
        for message in net.proto.layer
    ]


def _input_row(net: Net, message: LayerParameter) -> LayerSummary:
    shapes = [net.input_shapes[top] for top in message.top]
    memory = BYTES * sum(_of_one(shape) for shape in shapes)
    return LayerSummary(message.name, message.type, (), tuple(message.top), tuple(shapes), 0, 0, 0, memory)


def _layer_row(message: LayerParameter, layer: Layer, counted: set[int]) -> LayerSummary:
    in_place = set(message.bottom) & set(message.top)
    own = [blob for blob in layer.blobs if blob._base is None and id(blob) not in counted]
    counted.update(id(blob) for blob in own)
    return LayerSummary(
        name=message.name,
        type=message.type,
        bottoms=tuple(message.bottom),
        tops=tuple(message.top),
        top_shapes=tuple(layer.top_shapes),
        parameters=sum(blob.numel() for blob in own if isinstance(blob, nn.Parameter)),
        statistics=sum(blob.numel() for blob in own if not isinstance(blob, nn.Parameter)),
        multiply_adds=_multiply_adds(layer),
        memory=0 if in_place else BYTES * sum(_of_one(shape) for shape in layer.top_shapes),
    )


def _multiply_adds(layer: Layer) -> int:
    kind, blobs = layer.type_name, layer.blobs
    if kind == "Convolution":  # every weight once for each place of the top
        return blobs[0].numel() * _of_one(layer.top_shapes[0]) // blobs[0].shape[0]
    if kind == "InnerProduct":
        return blobs[0].numel() * _of_one(layer.top_shapes[0]) // layer.top_shapes[0][-1]
    if kind == "Deconvolution":  # every weight once for each place of the bottom
        return blobs[0].numel() * _of_one(layer.bottom_shapes[0]) // blobs[0].shape[0]
    if kind in ("LSTM", "RNN"):  # every weight once for each step of time, the first axis
        return layer.top_shapes[0][0] * sum(blob.numel() for blob in blobs if blob.ndim == 2)
    return _of_one(layer.top_shapes[0]) if kind == "Scale" else 0


def _of_one(shape: Shape) -> int:
    """Values of a blob for one picture: the first axis is the batch."""
    return math.prod(shape[1:])
