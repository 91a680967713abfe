"""Summary of a net by layer: shapes, parameters, multiply-adds, memory."""

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
    """Summary of one layer; counts are per image.

    Args:
        name: Layer name.
        type: Layer type.
        bottoms: Names of the bottoms.
        tops: Names of the tops.
        top_shapes: Shapes of the tops, at the batch size of the build.
        parameters: Number of learnable values; shared parameters count at their first layer.
        statistics: Number of values in other blobs, e.g. of BatchNorm.
        multiply_adds: Number of multiply-adds per image.
        memory: Size of the tops in bytes per image in float32; 0 for in-place layers.
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
    """Return a summary of the layers of a net, including inputs, in execution order.

    Only shapes are used, so ``with torch.device("meta"): net = pl.Net(...)`` can build the net without memory.

    Args:
        net: Net to summarize.
    """
    layers = iter(net.caffe_layers)
    counted: set[int] = set()  # parameters of earlier layers
    return [
        _input_row(net, message) if is_input(message) else _layer_row(message, next(layers), counted)
        for message in net.proto.layer
    ]


def _input_row(net: Net, message: LayerParameter) -> LayerSummary:
    shapes = [net.input_shapes[top] for top in message.top]
    memory = BYTES * sum(_values_per_image(shape) for shape in shapes)
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
        memory=0 if in_place else BYTES * sum(_values_per_image(shape) for shape in layer.top_shapes),
    )


def _multiply_adds(layer: Layer) -> int:
    kind, blobs = layer.type_name, layer.blobs
    if kind == "Convolution":  # every weight once per position of the top
        return blobs[0].numel() * _values_per_image(layer.top_shapes[0]) // blobs[0].shape[0]
    if kind == "InnerProduct":
        return blobs[0].numel() * _values_per_image(layer.top_shapes[0]) // layer.top_shapes[0][-1]
    if kind == "Deconvolution":  # every weight once per position of the bottom
        return blobs[0].numel() * _values_per_image(layer.bottom_shapes[0]) // blobs[0].shape[0]
    if kind in ("LSTM", "RNN"):  # every weight once per time step (first axis)
        return layer.top_shapes[0][0] * sum(blob.numel() for blob in blobs if blob.ndim == 2)
    return _values_per_image(layer.top_shapes[0]) if kind == "Scale" else 0


def _values_per_image(shape: Shape) -> int:
    """Return the number of values per image. The first axis is the batch."""
    return math.prod(shape[1:])
