"""The output of a Caffe net: the blob with the class probabilities."""

from __future__ import annotations

import math

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from prototxt_like.suggest import did_you_mean

ADDED_NAME = "added_softmax"


def with_output(net: pl.Net, output: str | None) -> tuple[pl.NetParameter, int, list[str]]:
    """Return the part of a net that computes the probabilities.

    Args:
        net: Net of phase TEST.
        output: Blob with scores or probabilities; None for the only output, or the only Softmax.

    Returns:
        Net whose only output is a Softmax, the number of classes, and the assumptions made.

    Raises:
        ModelError: If the blob does not exist, or there are several candidates.
    """
    assumptions = []
    makers = {top: layer for layer in net.proto.layer for top in layer.top}
    name = output
    if name is None:
        name = _only_output(net, makers)
        if len(net.outputs) > 1:
            assumptions.append(f"output: {name}, the only Softmax")
    if name not in net.shapes:
        raise ModelError(f'the net has no blob "{name}"{did_you_mean(name, net.shapes)}')
    part = _part(net.proto, name)
    if makers[name].type != "Softmax":
        assumptions.append(f"output: {name} is not a Softmax, so one is added")
        part.layer.add(name=ADDED_NAME, type="Softmax", bottom=[name], top=[ADDED_NAME])
    classes = math.prod(net.shapes[name][1:])
    if classes < 2 or len(net.shapes[name]) < 2 or net.shapes[name][1] != classes:
        shape = " x ".join(map(str, net.shapes[name]))
        raise ModelError(f'output "{name}" has the shape {shape}, expected N x classes; pass another --output')
    return part, classes, assumptions


def _only_output(net: pl.Net, makers: dict[str, pl.LayerParameter]) -> str:
    outputs = list(net.outputs)
    if len(outputs) == 1:
        return outputs[0]
    softmax = [name for name in outputs if name in makers and makers[name].type == "Softmax"]
    if len(softmax) != 1:
        raise ModelError(f"found outputs {', '.join(outputs)}, expected one; pass one with --output")
    return softmax[0]


def _part(net: pl.NetParameter, output: str) -> pl.NetParameter:
    """Return the layers that a blob depends on."""
    needed, kept = {output}, []
    for layer in reversed(net.layer):
        if needed & set(layer.top):
            kept.append(layer)
            needed |= set(layer.bottom)
    part = pl.NetParameter(name=net.name)
    part.layer.extend(reversed(kept))
    return part
