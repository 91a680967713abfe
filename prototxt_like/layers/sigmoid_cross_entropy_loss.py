"""SigmoidCrossEntropyLoss layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import NormalizedLoss
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(NormalizedLoss):
    """Sum of -t * log(p) - (1 - t) * log(1 - p), p = sigmoid(score), by default divided by the batch size.

    Targets may be between 0 and 1, and receive no gradient.

    Source: BVLC/caffe src/caffe/layers/sigmoid_cross_entropy_loss_layer.cpp
    """

    more_fields = ("loss_param",)
    restrictions = ("As in Caffe, targets are truncated to integers before they are compared with `ignore_label`.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Check the bottoms and read the normalization."""
        super().setup(parameter)
        scores, targets = self.bottom_shapes
        if count(scores) != count(targets):
            self.fail_shape(
                f"both bottoms need the same number of values, found {format_shape(scores)} and {format_shape(targets)}"
            )
        self.read_normalization(parameter, default="BATCH_SIZE")

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss."""
        rows = upcast(scores.reshape(-1))
        wanted = targets.detach().reshape(-1).to(rows.dtype)
        each = F.binary_cross_entropy_with_logits(rows, wanted, reduction="none")
        valid = None
        if self.ignore_label is not None:
            valid = wanted.to(torch.int64) != self.ignore_label
            each = torch.where(valid, each, 0)
        return self.normalize(each.sum(), scores.shape[0], count(scores.shape, 1), valid)
