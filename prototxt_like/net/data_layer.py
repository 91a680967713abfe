"""The data layer of a net and the shapes of its tops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.errors import NetError
from prototxt_like.schema.caffe_schema_pb2 import Phase

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter


IMAGE_TYPES = ("Data", "ImageData")


def data_layer(net: NetParameter, phase: str) -> LayerParameter:
    """Return the layer that feeds images to the net in a phase: with a ``transform_param`` or of a type that has one.

    Args:
        net: NetParameter, not filtered by phase.
        phase: "TRAIN" or "TEST".

    Raises:
        NetError: If there is no such layer.
    """
    for layer in net.layer:
        phases = {Phase.Name(rule.phase) for rule in layer.include if rule.HasField("phase")}
        is_data = layer.HasField("transform_param") or layer.type in IMAGE_TYPES
        if is_data and (not phases or phase in phases):
            return layer
    raise NetError(f'net "{net.name}": no data layer with a transform_param for phase {phase}')


def data_shapes(net: NetParameter, phase: str, image_shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the data layer's tops by blob name.

    Args:
        net: NetParameter, not filtered by phase.
        phase: "TRAIN" or "TEST".
        image_shape: (C, H, W) of the stored images.

    Returns:
        (N, C, H', W') of the first top, after crop, ``force_color`` and ``force_gray``; (N,) of the second, the labels.

    Raises:
        NetError: If there is no data layer of that phase.
    """
    layer = data_layer(net, phase)
    batch, transform = layer.data_param.batch_size, layer.transform_param
    channels, height, width = image_shape
    channels = 3 if transform.force_color else 1 if transform.force_gray else channels
    rows, columns = transform.crop_h or transform.crop_size, transform.crop_w or transform.crop_size
    shapes: list[tuple[int, ...]] = [(batch, channels, rows or height, columns or width), (batch,)]
    return dict(zip(layer.top, shapes, strict=False))
