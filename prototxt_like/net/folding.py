"""Fold BatchNorm and Scale layers into the preceding convolution or inner product for inference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.layers._broadcast import Affine
from prototxt_like.layers.scale import Scale
from prototxt_like.net.net import Net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter, Phase

#: Layer types whose first blob is indexed by output channel, so that it can be multiplied per channel.
LINEAR = frozenset({"Convolution", "InnerProduct"})


class FoldPlan(NamedTuple):
    """Positions of a linear layer and its BatchNorm and Scale in the net's list of layers; -1 = no Scale."""

    linear: int
    norm: int
    scale: int


def fold_batch_norm(net: Net) -> Net:
    """Return an equivalent TEST net without the BatchNorm and Scale layers that can be folded.

    In TEST, BatchNorm and Scale are affine functions per channel. They are folded into the filters and the bias of
    the preceding Convolution or InnerProduct. A layer is not folded if another layer reads the blob in between, if a
    blob is shared, or if the BatchNorm uses batch statistics.

    Args:
        net: TEST net with weights; not modified.

    Returns:
        The smaller net in evaluation mode, or ``net`` itself if no layer can be folded. Layers with their own
        ``phase`` keep their mode in ``net``. ``save_weights`` and ``write_text(net.proto, ...)`` save it as
        Caffe files.

    Raises:
        NetError: If the net was built for phase TRAIN.
    """
    if net.phase != "TEST":
        raise NetError(
            f'net "{net.name}" cannot be folded: found phase {net.phase}, expected TEST; build it with phase="TEST"'
        )
    plans = list(_fold_plans(net))
    if not plans:
        return net
    message = _without_folded_layers(net.proto, plans)
    folded = Net(message, phase="TEST", input_shapes=net.input_shapes, max_values=net.max_values)
    _copy_modes(folded, net, plans)
    folded.to(next(iter(net.params.values()))[0].device)
    layers = net.proto.layer
    params, source_params = folded.params, net.params
    with torch.no_grad():
        for name, blobs in params.items():
            for blob, source in zip(blobs, source_params[name], strict=False):  # a folded layer may have a new bias
                blob.copy_(source)
        for plan in plans:
            factor, offset = _factor_and_offset(net, plan)
            filters, bias = params[layers[plan.linear].name]
            had_bias = len(source_params[layers[plan.linear].name]) == 2
            bias.copy_((bias.double() * factor if had_bias else 0) + offset)
            filters.copy_(filters.double() * factor.reshape(-1, *(1,) * (filters.dim() - 1)))
    return folded


def _copy_modes(folded: Net, net: Net, plans: list[FoldPlan]) -> None:
    """Copy the training flags. A layer with ``phase: TRAIN`` is built in training mode, but may have been switched."""
    layers = net.proto.layer
    removed = {layers[index].name for plan in plans for index in (plan.norm, plan.scale) if index >= 0}
    remaining = [layer for layer in net.caffe_layers if layer.name not in removed or not layer.blob_names]
    for layer, source in zip(folded.caffe_layers, remaining, strict=True):
        layer.train(layer.training and source.training)


def _fold_plans(net: Net) -> Iterator[FoldPlan]:
    layers = net.proto.layer
    readers = _readers(net)
    for index, layer in enumerate(layers):
        norm = _single_reader(readers[index])
        if not _is_linear(layer) or norm is None or not _is_norm(layers[norm]):
            continue
        scale = _single_reader(readers[norm])
        yield FoldPlan(index, norm, scale if scale is not None and _is_scale(net, layers[scale]) else -1)


def _readers(net: Net) -> dict[int, list[int]]:
    """Return the positions of the readers of each layer's top; -1 is an output of the net."""
    producers: dict[str, int] = {}
    readers: dict[int, list[int]] = defaultdict(list)
    for index, layer in enumerate(net.proto.layer):
        for bottom in layer.bottom:
            readers[producers[bottom]].append(index)
        producers.update((top, index) for top in layer.top)
    for name in net.outputs:
        if name in producers:  # a loss without a top has one that is not written in the net
            readers[producers[name]].append(-1)
    return readers


def _single_reader(readers: list[int]) -> int | None:
    return readers[0] if len(readers) == 1 and readers[0] >= 0 else None


def _is_linear(layer: LayerParameter) -> bool:
    if layer.type not in LINEAR or any(spec.name for spec in layer.param):
        return False
    transposed = layer.type == "InnerProduct" and layer.inner_product_param.transpose
    return _layer_param(layer).axis == 1 and not transposed


def _is_norm(layer: LayerParameter) -> bool:
    options = layer.batch_norm_param
    of_train = layer.HasField("phase") and layer.phase == Phase.Value("TRAIN")
    by_batch = not options.use_global_stats if options.HasField("use_global_stats") else of_train
    alone = not options.scale_bias and len(layer.param) <= 3
    return layer.type == "BatchNorm" and alone and not by_batch and not any(spec.name for spec in layer.param)


def _is_scale(net: Net, layer: LayerParameter) -> bool:
    if layer.type != "Scale" or len(layer.bottom) != 1 or any(spec.name for spec in layer.param):
        return False
    (scale,) = (other for other in net.caffe_layers if other.name == layer.name and isinstance(other, Affine))
    return scale.blob_axis == 1 and len(scale.blob_shape) == 1


def _without_folded_layers(message: NetParameter, plans: list[FoldPlan]) -> NetParameter:
    """Return the net without the folded layers. The linear layers produce their tops."""
    removed = {index for plan in plans for index in (plan.norm, plan.scale)}
    tops = {plan.linear: message.layer[max(plan.norm, plan.scale)].top[0] for plan in plans}
    result = NetParameter()
    result.CopyFrom(message)
    result.ClearField("layer")
    for index, layer in enumerate(message.layer):
        if index in removed:
            continue
        written = result.layer.add()
        written.CopyFrom(layer)
        if index in tops:
            written.top[:] = [tops[index]]
            _layer_param(written).bias_term = True
    return result


def _layer_param(layer: LayerParameter) -> Any:
    return layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param


def _factor_and_offset(net: Net, plan: FoldPlan) -> tuple[Tensor, Tensor]:
    """Return factor and offset of BatchNorm and Scale per channel: (C,) float64 each."""
    layers = net.proto.layer
    mean, variance, count = (blob.double() for blob in net.params[layers[plan.norm].name])
    divisor = torch.where(count == 0, 0.0, 1 / count)
    factor = (variance * divisor + layers[plan.norm].batch_norm_param.eps).rsqrt()
    offset = -mean * divisor * factor
    if plan.scale < 0:
        return factor, offset
    name = layers[plan.scale].name
    scale = next(other for other in net.caffe_layers if other.name == name and isinstance(other, Scale))
    factor, offset = factor * scale.factor.double(), offset * scale.factor.double()
    return factor, offset + scale.bias.double() if scale.bias_term else offset
