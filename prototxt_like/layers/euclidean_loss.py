"""EuclideanLoss layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import Loss, at_least_one
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("EuclideanLoss")
class EuclideanLoss(Loss):
    """Sum of squared differences of the bottoms, divided by twice the batch size. Both bottoms receive gradients.

    Source: BVLC/caffe src/caffe/layers/euclidean_loss_layer.cpp
    """

    restrictions = ("`loss_param` has no effect, as in Caffe.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Check that the bottoms have equal counts."""
        super().setup(parameter)
        first, second = self.bottom_shapes
        if count(first, 1) != count(second, 1):
            self.fail_shape(
                "both bottoms need the same number of values per item; "
                f"bottom 0 is {format_shape(first)}, bottom 1 is {format_shape(second)}"
            )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss."""
        difference = upcast(first.reshape(-1)) - upcast(second.reshape(-1))
        return (difference * difference).sum() / (2 * at_least_one(first.shape[0]))
