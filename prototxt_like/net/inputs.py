"""Inputs of a net: Input layers, and data layers, whose tops the caller passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prototxt_like.errors import NetError
from prototxt_like.io.files import read_mean

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter

Shape = tuple[int, ...]

#: Layer types that describe a data source. The caller passes their tops to the net.
DATA_TYPES = frozenset({"AnnotatedData", "Data", "HDF5Data", "ImageData", "MemoryData", "VideoData", "WindowData"})
INPUT_TYPES = DATA_TYPES | {"Input"}
#: Layer types whose first blob has shape (outputs, input channels / group, ...).
_CONVOLUTIONS = frozenset({"Convolution"})


def is_input(layer: LayerParameter) -> bool:
    """Return whether the caller passes the layer's tops. Python layers without bottoms are data sources."""
    return (layer.type in INPUT_TYPES or layer.type == "Python") and not layer.bottom


def input_shapes(
    layer: LayerParameter, given: Mapping[str, Sequence[int]], weights: NetParameter | None, net: NetParameter
) -> list[Shape]:
    """Return the shape of each top of an Input or data layer.

    Args:
        layer: Input or data layer.
        given: Shapes from the caller, by blob name; these take precedence.
        weights: Trained weights, from which the number of channels may be read, or None.
        net: Net that contains the layer.

    Returns:
        Shapes including the batch axis.

    Raises:
        NetError: If a shape cannot be inferred.
    """
    return [
        tuple(int(size) for size in given[top]) if top in given else _declared(layer, index, given, weights, net)
        for index, top in enumerate(layer.top)
    ]


def _declared(
    layer: LayerParameter,
    index: int,
    given: Mapping[str, Sequence[int]],
    weights: NetParameter | None,
    net: NetParameter,
) -> Shape:
    if layer.type == "Input":
        return _input_shape(layer, index)
    has_labels = layer.type in DATA_TYPES and layer.type != "HDF5Data"
    batch = _batch_size(layer) if layer.type in DATA_TYPES else 1
    if has_labels and index == 1:  # one label per image
        images = given.get(layer.top[0], ())
        return (int(images[0]) if images else batch,)
    if has_labels and index == 0:
        image = _image_shape(layer, weights, net)
        if image is not None:
            return (batch, *image)
    sizes = "(batch, channels, height, width)" if has_labels else "(batch, ...)"
    raise NetError(
        f'the shape of "{layer.top[index]}" is unknown: layer "{layer.name}" ({layer.type}) does not define it; '
        f'pass input_shapes={{"{layer.top[index]}": {sizes}}}'
    )


def _input_shape(layer: LayerParameter, index: int) -> Shape:
    shapes = layer.input_param.shape
    if len(shapes) not in (1, len(layer.top)):
        raise NetError(
            f'layer "{layer.name}" (Input) has {len(layer.top)} tops and {len(shapes)} shapes; '
            "set one shape, or one per top"
        )
    return tuple(shapes[index if len(shapes) > 1 else 0].dim)


def _batch_size(layer: LayerParameter) -> int:
    message: Any = {
        "Data": layer.data_param,
        "AnnotatedData": layer.data_param,
        "VideoData": layer.data_param,
        "HDF5Data": layer.hdf5_data_param,
        "ImageData": layer.image_data_param,
        "MemoryData": layer.memory_data_param,
        "WindowData": layer.window_data_param,
    }[layer.type]
    return message.batch_size or 1


def _image_shape(layer: LayerParameter, weights: NetParameter | None, net: NetParameter) -> Shape | None:
    if layer.type == "MemoryData":
        sizes = layer.memory_data_param
        return (sizes.channels, sizes.height, sizes.width)
    size = _image_size(layer)
    channels = _channels(layer, weights, net)
    if size is None or channels is None:
        return None
    return (channels, *size)


def _image_size(layer: LayerParameter) -> tuple[int, int] | None:
    transform = layer.transform_param
    if transform.crop_size:
        return (transform.crop_size, transform.crop_size)
    if transform.crop_h and transform.crop_w:
        return (transform.crop_h, transform.crop_w)
    if layer.image_data_param.new_height and layer.image_data_param.new_width:
        return (layer.image_data_param.new_height, layer.image_data_param.new_width)
    if transform.resize_param.height and transform.resize_param.width:
        return (transform.resize_param.height, transform.resize_param.width)
    mean = _mean_shape(layer)
    return None if mean is None else mean[1:]


def _channels(layer: LayerParameter, weights: NetParameter | None, net: NetParameter) -> int | None:
    transform = layer.transform_param
    if transform.force_color:
        return 3
    if transform.force_gray:
        return 1
    if layer.type == "ImageData":
        return 3 if layer.image_data_param.is_color else 1
    if len(transform.mean_value) > 1:
        return len(transform.mean_value)
    mean = _mean_shape(layer)
    return mean[0] if mean is not None else _channels_of_weights(layer.top[0], weights, net)


def _mean_shape(layer: LayerParameter) -> tuple[int, int, int] | None:
    """Return the shape of the mean image, or None if the file does not exist."""
    name = layer.transform_param.mean_file
    if not name or not Path(name).is_file():
        return None
    channels, height, width = read_mean(name).shape
    return channels, height, width


def _channels_of_weights(blob: str, weights: NetParameter | None, net: NetParameter) -> int | None:
    """Return the number of input channels of the first convolution that reads the blob, from its trained weights."""
    if weights is None:
        return None
    shapes = {layer.name: tuple(layer.blobs[0].shape.dim) for layer in weights.layer if layer.blobs}
    for layer in net.layer:
        shape = shapes.get(layer.name, ())
        if layer.type in _CONVOLUTIONS and blob in layer.bottom and len(shape) == 4:
            return shape[1] * layer.convolution_param.group
    return None
