"""SmoothL1Loss layer of Fast R-CNN and SSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import upcast
from prototxt_like.layers.loss import Loss, at_least_one
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("SmoothL1Loss")
class SmoothL1Loss(Loss):
    """Sum of a robust difference of the bottoms, divided by the batch size. Bottoms 0 and 1 receive gradients.

    With d = bottom 0 - bottom 1, times bottom 2 if present: 0.5 * (sigma * d) ** 2 if abs(d) < 1 / sigma ** 2, else
    abs(d) - 0.5 / sigma ** 2; times bottom 3 if present.

    Source: rbgirshick/caffe-fast-rcnn src/caffe/layers/smooth_L1_loss_layer.cu
    """

    origin = "Fast R-CNN, SSD"
    max_bottoms = 4
    parameter_field = "smooth_l1_loss_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read sigma."""
        super().setup(parameter)
        self.same_shapes()
        self.sigma2: float = self.layer_param(parameter).sigma ** 2
        if self.sigma2 <= 0:
            self.fail("sigma must not be 0")

    def forward(self, x: Tensor, target: Tensor, inside: Tensor | None = None, outside: Tensor | None = None) -> Tensor:
        """Return the scalar loss."""
        difference = upcast(x) - upcast(target)
        if inside is not None:
            difference = difference * inside.detach()
        distance = difference.abs()
        squared = 0.5 * self.sigma2 * difference * difference
        loss = torch.where(distance < 1 / self.sigma2, squared, distance - 0.5 / self.sigma2)
        if outside is not None:
            loss = loss * outside.detach()
        return loss.sum() / at_least_one(x.shape[0])
