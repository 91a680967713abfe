"""Indices and labels from float blobs."""

from __future__ import annotations

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.layers.base import Layer


def checked_index(layer: Layer, index: Tensor, size: int, what: str, *, but: int | None = None) -> Tensor:
    """Convert indices or labels to integers, and check their range on the CPU.

    Args:
        layer: Layer for error messages.
        index: Integers or floats of any shape. Floats are truncated toward zero, as in Caffe.
        size: Exclusive upper limit of an index.
        what: Name of the index for error messages.
        but: Value that is allowed out of range, or None.

    Returns:
        int64 in the same shape.

    Raises:
        NetError: If an index is out of range. Not checked on other devices and in compiled graphs, because reading
            a value would force a synchronization.
    """
    integers = index.to(torch.int64)
    if integers.device.type != "cpu" or torch.compiler.is_compiling():
        return integers
    outside = (integers < 0) | (integers >= size)
    if but is not None:
        outside &= integers != but
    if outside.any():
        raise NetError(f"{layer.display_name}: {what} {int(integers[outside][0])} is outside 0 to {size - 1}")
    return integers
