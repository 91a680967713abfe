"""ContrastiveLoss layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import Loss, at_least_one
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """Contrastive loss: small distances for similar pairs, distances above ``margin`` for dissimilar pairs.

    Bottoms: two features (N, C) and a similarity (N), nonzero for a similar pair.
    Mean over the batch of d ** 2 / 2 for similar pairs and max(margin - d, 0) ** 2 / 2 for dissimilar pairs;
    with ``legacy_version`` max(margin - d ** 2, 0) / 2.

    As in Caffe, the gradient divides by d + 1e-4 instead of d, so it is finite for equal features.

    Source: BVLC/caffe src/caffe/layers/contrastive_loss_layer.cpp
    """

    min_bottoms = 3
    max_bottoms = 3
    parameter_field = "contrastive_loss_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the margin and check the bottoms."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        first, second, similar = self.bottom_shapes
        if first[:2] != second[:2] or len(first) < 2 or count(first, 2) != 1 or count(second, 2) != 1:
            self.fail_shape(
                "bottoms 0 and 1 must both be N x C (or N x C x 1 x 1), "
                f"found {format_shape(first)} and {format_shape(second)}"
            )
        if not similar or similar[0] != first[0] or count(similar, 1) != 1:
            self.fail_shape(f"bottom 2 must hold one value for each of {first[0]} pairs, found {format_shape(similar)}")
        self.margin: float = options.margin
        self.legacy: bool = options.legacy_version

    def forward(self, first: Tensor, second: Tensor, similar: Tensor) -> Tensor:
        """Return the loss."""
        difference = upcast(first.flatten(1)) - upcast(second.flatten(1))
        squared = (difference * difference).sum(1)
        is_similar = similar.reshape(-1).to(torch.int64) != 0
        distance = squared.detach() if self.legacy else squared.detach().sqrt()
        missing = (self.margin - distance).clamp(min=0)
        cost = torch.where(is_similar, squared.detach(), missing if self.legacy else missing * missing)
        slope = (missing > 0).to(missing.dtype) if self.legacy else missing / (distance + 1e-4)
        # The cost of each pair, with Caffe's gradient along the squared distance
        each = cost + torch.where(is_similar, 1.0, -slope) * (squared - squared.detach())
        return each.sum() / (2 * at_least_one(first.shape[0]))
