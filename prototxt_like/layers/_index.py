"""Indices that come as the floats of a blob."""

from __future__ import annotations

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.layers.base import Layer


def checked_index(layer: Layer, index: Tensor, size: int, what: str, *, but: int | None = None) -> Tensor:
    """Indices or labels as integers, checked where checking costs nothing.

    Args:
        layer: Whom a refusal names.
        index: Any shape, integers or floats (cut towards zero as Caffe does).
        size: An index is 0 <= index < size.
        what: What it counts, for the message.
        but: A value that may lie outside.

    Returns:
        int64 in the same shape.

    Raises:
        NetError: an index outside; not looked for on an accelerator or inside a compiled graph, where reading
            a value would stop the pipeline.
    """
    whole = index.to(torch.int64)
    if whole.device.type != "cpu" or torch.compiler.is_compiling():
        return whole
    outside = (whole < 0) | (whole >= size)
    if but is not None:
        outside &= whole != but
    if outside.any():
        raise NetError(f"{layer.display_name}: {what} {int(whole[outside][0])} is outside 0 to {size - 1}")
    return whole
