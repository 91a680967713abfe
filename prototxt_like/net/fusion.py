"""Steps of a forward pass that run as one."""

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
    """A BatchNorm and the Scale behind it, run in one pass; hooks of the two modules are not called.

    Args:
        norm: module key of the BatchNorm.
        scale: module key of the Scale.
    """

    norm: str
    scale: str

    def __call__(self, modules: Mapping[str, Any], x: Tensor) -> Tensor:
        """Normalize, multiply and add.

        Args:
            modules: the layers of the net, by key.
            x: (N, C, ...).
        """
        scale = modules[self.scale]
        return modules[self.norm].normalize(x, scale.factor, scale.bias if scale.bias_term else None)


def fuse_batch_norm_scale(steps: Sequence[Step], layers: Mapping[str, Layer]) -> list[Step]:
    """Let every BatchNorm run the Scale behind it in its own pass.

    Caffe's normalisation is two layers, torch's is one: together they read and write a blob once, and the gradient
    of the factor falls off on the way. In bfloat16 it is also the more exact of the two, because nothing between
    is rounded. The value before the Scale does not exist then, so only nets where nobody reads it are changed.

    Args:
        steps: the forward pass, layer by layer.
        layers: by key, as the steps name them.

    Returns:
        the same pass in fewer steps.
    """
    fused: list[Step] = []
    for step in steps:
        if fused and _fits(fused[-1], step, layers):
            before = fused.pop()
            step = before._replace(
                tops=step.tops,
                free_after=before.free_after + step.free_after,
                fused=FusedBatchNormScale(before.key, step.key),
            )
        fused.append(step)
    return fused


def _fits(before: Step, step: Step, layers: Mapping[str, Layer]) -> bool:
    norm, scale = layers[before.key], layers[step.key]
    if not isinstance(norm, BatchNorm) or not isinstance(scale, Scale) or before.fused is not None:
        return False
    unseen = step.tops == before.tops or before.tops[0] in step.free_after
    by_channel = len(scale.bottom_shapes) == 1 and scale.blob_axis == 1 and len(scale.blob_shape) == 1
    return step.bottoms == before.tops and not step.detach and unseen and by_channel
