"""HingeLoss layer: one-versus-all hinge loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import Loss, at_least_one
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    HingeLossParameter,
)

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("HingeLoss")
class HingeLoss(Loss):
    """Sum of max(0, 1 - t * score) (L1) or of its squares (L2), divided by the batch size.

    t is 1 for the true class and -1 for the others. All axes after the batch axis are flattened to classes.

    Source: BVLC/caffe src/caffe/layers/hinge_loss_layer.cpp
    """

    parameter_field = "hinge_loss_param"
    restrictions = ("A label out of range raises an error (undefined in Caffe).",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the norm and check that there is one label per item."""
        super().setup(parameter)
        labels = self.bottom_shapes[1]
        self.squared: bool = self.layer_param(parameter).norm == HingeLossParameter.L2
        if count(labels) != labels[0]:
            self.fail_shape(f"bottom 1 must have one label per item, found {format_shape(labels)}")

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss."""
        rows = upcast(scores.flatten(1)) if scores.dim() > 1 else upcast(scores)[:, None]
        index = checked_index(self, labels.reshape(-1), rows.shape[1], "label")
        sign = torch.ones_like(rows).scatter(1, index[:, None], -1.0)
        missing = F.relu(1 + sign * rows)
        return (missing * missing if self.squared else missing).sum() / at_least_one(scores.shape[0])
