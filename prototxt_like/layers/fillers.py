"""Caffe's fillers, which initialize parameter blobs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.suggest import did_you_mean

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

_LARGEST = torch.finfo(torch.float32).max
#: Types that divide by the number of outputs.
_BY_OUTPUT = frozenset({"msra", "positive_unitball", "xavier"})
AVERAGE, FAN_OUT = 2, 1  # FillerParameter.VarianceNorm; FAN_IN is 0


@torch.no_grad()
def fill(tensor: Tensor, filler: FillerParameter) -> None:
    """Fill a blob in place, with torch's default random generator.

    Args:
        tensor: Blob of any shape with at least one value.
        filler: Caffe's FillerParameter.

    Raises:
        NetError: If the type is unknown, the blob is empty, or a field is not supported by the type.
    Source: BVLC/caffe include/caffe/filler.hpp
    """
    if filler.type not in _FILLERS:
        raise NetError(f'unknown filler "{filler.type}"{did_you_mean(filler.type, _FILLERS)}')
    if tensor.numel() == 0:
        raise NetError(f"a blob of shape {tuple(tensor.shape)} is empty and cannot be filled")
    if filler.type != "gaussian" and filler.sparse != -1:
        raise NetError(f'the filler "{filler.type}" does not support "sparse"; use "gaussian" or remove the field')
    if tensor.ndim == 0 and (filler.type in _BY_OUTPUT or filler.sparse >= 0):
        raise NetError(
            f'the filler "{filler.type}" does not support scalar blobs; '
            'use "constant", "uniform" or "gaussian" without "sparse"'
        )
    _FILLERS[filler.type](tensor, filler)


def filler_types() -> list[str]:
    """Return the names of all fillers, sorted."""
    return sorted(_FILLERS)


def _constant(tensor: Tensor, filler: FillerParameter) -> None:
    tensor.fill_(filler.value)


def _uniform(tensor: Tensor, filler: FillerParameter) -> None:
    if filler.min > filler.max:
        raise NetError(f"the uniform filler's min {filler.min:g} is above its max {filler.max:g}")
    if not filler.max - filler.min <= _LARGEST:
        raise NetError(
            f"the range of the uniform filler is too large: found {filler.min:g} to {filler.max:g}, "
            f"expected a difference of at most {_LARGEST:.3g}"
        )
    tensor.uniform_(filler.min, filler.max)


def _gaussian(tensor: Tensor, filler: FillerParameter) -> None:
    _check_std(filler.std)
    tensor.normal_(filler.mean, filler.std)
    if filler.sparse >= 0:
        # Caffe divides by the number of outputs, regardless of the number of inputs.
        probability = min(filler.sparse / tensor.shape[0], 1.0)
        tensor.mul_(torch.bernoulli(torch.full_like(tensor, probability)))
    elif filler.sparse != -1:
        raise NetError(
            f"invalid sparse of the gaussian filler: found {filler.sparse}, expected 0 or more; or remove the field"
        )


def _xavier(tensor: Tensor, filler: FillerParameter) -> None:
    bound = math.sqrt(3.0 / _fan(tensor, filler))
    tensor.uniform_(-bound, bound)


def _msra(tensor: Tensor, filler: FillerParameter) -> None:
    tensor.normal_(0.0, math.sqrt(2.0 / _fan(tensor, filler)))


def _positive_unitball(tensor: Tensor, filler: FillerParameter) -> None:
    tensor.uniform_(0.0, 1.0)
    rows = tensor.view(tensor.shape[0], -1)  # (outputs, inputs per output)
    rows.div_(rows.sum(dim=1, keepdim=True))


def _bilinear(tensor: Tensor, filler: FillerParameter) -> None:
    if tensor.ndim != 4 or tensor.shape[2] != tensor.shape[3]:
        raise NetError(
            f"wrong shape for the bilinear filler: found {tuple(tensor.shape)}, expected 4 axes with a square kernel"
        )
    side = tensor.shape[3]
    factor = math.ceil(side / 2)
    center = (side - 1) / (2.0 * factor)
    line = 1 - (torch.arange(side, dtype=torch.float32, device=tensor.device) / factor - center).abs()
    tensor.copy_(torch.outer(line, line).expand_as(tensor))


def _fan(tensor: Tensor, filler: FillerParameter) -> float:
    fan_in = tensor.numel() // tensor.shape[0]
    fan_out = tensor.numel() // tensor.shape[1] if tensor.ndim > 1 else tensor.numel()
    if filler.variance_norm == AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FAN_OUT else fan_in


def _check_std(std: float) -> None:
    if not std >= 0:
        raise NetError(f"invalid std of the gaussian filler: found {std:g}, expected 0 or more")


_FILLERS: dict[str, Callable[[Tensor, FillerParameter], None]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "xavier": _xavier,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "bilinear": _bilinear,
}
