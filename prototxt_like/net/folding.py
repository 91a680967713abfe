"""BatchNorm and Scale layers merged into the layer before them, as nets are made ready for use."""

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

#: Layers whose first blob holds one filter after the other, so that a factor for each is a factor for its filter.
LINEAR = frozenset({"Convolution", "InnerProduct"})


class FoldPlan(NamedTuple):
    """A linear layer and what follows it: positions in the net's list of layers; -1 = no Scale."""

    linear: int
    norm: int
    scale: int


def fold_batch_norm(net: Net) -> Net:
    """A net that computes the same in TEST, without the BatchNorm and Scale layers that can be spared.

    In TEST a BatchNorm multiplies every channel with one number and adds another, and so does a Scale; the filters
    and the bias of the convolution or inner product before can hold both. Layers stay where somebody else reads the
    value between, where a blob is shared, or where a BatchNorm takes the statistics of its batch.

    Args:
        net: a net with its weights; it is not changed.

    Returns:
        The smaller net in evaluation mode (but for layers that have a phase of their own, and still follow it in
        ``net``), or ``net`` itself where nothing can be merged. ``save_weights`` and
        ``write_text(net.proto, ...)`` make Caffe files of it.

    Raises:
        NetError: the net is one for training.
    """
    if net.phase != "TEST":
        raise NetError(f'net "{net.name}" was built for phase {net.phase}; layers are merged for use, in phase TEST')
    plans = list(_fold_plans(net))
    if not plans:
        return net
    shorter = _shorter(net.proto, plans)
    folded = Net(shorter, phase="TEST", input_shapes=net.input_shapes, max_values=net.max_values)
    _take_over_modes(folded, net, plans)
    folded.to(next(iter(net.params.values()))[0].device)
    layers = net.proto.layer
    own, theirs = folded.params, net.params
    with torch.no_grad():
        for name, blobs in own.items():
            for blob, source in zip(blobs, theirs[name], strict=False):  # a linear layer may have got a bias
                blob.copy_(source)
        for plan in plans:
            factor, summand = _factor_and_summand(net, plan)
            filters, bias = own[layers[plan.linear].name]
            had_bias = len(theirs[layers[plan.linear].name]) == 2
            bias.copy_((bias.double() * factor if had_bias else 0) + summand)
            filters.copy_(filters.double() * factor.reshape(-1, *(1,) * (filters.dim() - 1)))
    return folded


def _take_over_modes(folded: Net, net: Net, plans: list[FoldPlan]) -> None:
    """A layer with ``phase: TRAIN`` is built for training; in ``net`` it may be so no longer."""
    layers = net.proto.layer
    gone = {layers[index].name for plan in plans for index in (plan.norm, plan.scale) if index >= 0}
    left = [layer for layer in net.caffe_layers if layer.name not in gone or not layer.blob_names]
    for layer, source in zip(folded.caffe_layers, left, strict=True):
        layer.train(layer.training and source.training)


def _fold_plans(net: Net) -> Iterator[FoldPlan]:
    layers = net.proto.layer
    readers = _readers(net)
    for index, layer in enumerate(layers):
        norm = _only(readers[index])
        if not _is_linear(layer) or norm is None or not _is_norm(layers[norm]):
            continue
        scale = _only(readers[norm])
        yield FoldPlan(index, norm, scale if scale is not None and _is_scale(net, layers[scale]) else -1)


def _readers(net: Net) -> dict[int, list[int]]:
    """Who reads the value that a layer makes: positions; -1 is the caller of the net."""
    makers: dict[str, int] = {}
    readers: dict[int, list[int]] = defaultdict(list)
    for index, layer in enumerate(net.proto.layer):
        for bottom in layer.bottom:
            readers[makers[bottom]].append(index)
        makers.update((top, index) for top in layer.top)
    for name in net.outputs:
        readers[makers[name]].append(-1)
    return readers


def _only(readers: list[int]) -> int | None:
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
    return layer.type == "BatchNorm" and not by_batch and not any(spec.name for spec in layer.param)


def _is_scale(net: Net, layer: LayerParameter) -> bool:
    if layer.type != "Scale" or len(layer.bottom) != 1 or any(spec.name for spec in layer.param):
        return False
    (scale,) = (own for own in net.caffe_layers if own.name == layer.name and isinstance(own, Affine))
    return scale.blob_axis == 1 and len(scale.blob_shape) == 1


def _shorter(message: NetParameter, plans: list[FoldPlan]) -> NetParameter:
    """The net without the merged layers; the linear layers make their tops."""
    gone = {index for plan in plans for index in (plan.norm, plan.scale)}
    tops = {plan.linear: message.layer[max(plan.norm, plan.scale)].top[0] for plan in plans}
    shorter = NetParameter()
    shorter.CopyFrom(message)
    shorter.ClearField("layer")
    for index, layer in enumerate(message.layer):
        if index in gone:
            continue
        written = shorter.layer.add()
        written.CopyFrom(layer)
        if index in tops:
            written.top[:] = [tops[index]]
            _layer_param(written).bias_term = True
    return shorter


def _layer_param(layer: LayerParameter) -> Any:
    return layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param


def _factor_and_summand(net: Net, plan: FoldPlan) -> tuple[Tensor, Tensor]:
    """What BatchNorm and Scale do to a channel: (C,) each, in double precision."""
    layers = net.proto.layer
    mean, variance, count = (blob.double() for blob in net.params[layers[plan.norm].name])
    divisor = torch.where(count == 0, 0.0, 1 / count)
    factor = (variance * divisor + layers[plan.norm].batch_norm_param.eps).rsqrt()
    summand = -mean * divisor * factor
    if plan.scale < 0:
        return factor, summand
    scale = next(own for own in net.caffe_layers if own.name == layers[plan.scale].name and isinstance(own, Scale))
    factor, summand = factor * scale.factor.double(), summand * scale.factor.double()
    return factor, summand + scale.bias.double() if scale.bias_term else summand
