"""Fuse a BatchNorm and the following Scale into one step of the forward pass.

Parameters and Caffe files are unchanged, and the net can still be trained. ``folding`` removes the layers instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from prototxt_like.layers import Layer
from prototxt_like.layers.batch_norm import BatchNorm
from prototxt_like.layers.scale import Scale
from prototxt_like.net.graph import Step


@dataclass(frozen=True)
class FusedBatchNormScale:
    """BatchNorm and the following Scale in one pass. Hooks of the two modules are not called.

    Args:
        norm: Module key of the BatchNorm layer.
        scale: Module key of the Scale layer.
    """

    norm: str
    scale: str

    def __call__(self, modules: Mapping[str, Any], x: Tensor) -> Tensor:
        """Normalize, multiply and add.

        Args:
            modules: Layers of the net by module key.
            x: (N, C, ...) tensor.
        """
        scale = modules[self.scale]
        return modules[self.norm].normalize(x, scale.factor, scale.bias if scale.bias_term else None)


def fuse_batch_norm_scale(steps: Sequence[Step], layers: Mapping[str, Layer]) -> list[Step]:
    """Fuse each BatchNorm with the following Scale.

    Caffe's normalization is two layers, torch's is one. The fused step reads and writes the blob once, and
    `torch.batch_norm` computes the gradient of the factor as well. In bfloat16 it is also more accurate, because the
    intermediate value is not rounded. That value is not available, so it must not have other readers.

    Args:
        steps: Steps of the forward pass, one per layer.
        layers: Layers of the net by module key.

    Returns:
        Steps of the equivalent forward pass.
    """
    fused: list[Step] = []
    for step in steps:
        if fused and _can_fuse(fused[-1], step, layers):
            previous = fused.pop()
            step = previous._replace(
                tops=step.tops,
                free_after=previous.free_after + step.free_after,
                fused=FusedBatchNormScale(previous.key, step.key),
                memory=step.memory,
            )
        fused.append(step)
    return fused


def _can_fuse(previous: Step, step: Step, layers: Mapping[str, Layer]) -> bool:
    norm, scale = layers[previous.key], layers[step.key]
    if (
        not isinstance(norm, BatchNorm)
        or norm.has_factor
        or not isinstance(scale, Scale)
        or previous.fused
        or step.fused
    ):
        return False
    unread = step.tops == previous.tops or previous.tops[0] in step.free_after
    if any(use is not None and use.aliases for use in (previous.memory, step.memory)):
        return False
    by_channel = len(scale.bottom_shapes) == 1 and scale.blob_axis == 1 and len(scale.blob_shape) == 1
    return step.bottoms == previous.tops and not step.detach and unread and by_channel
