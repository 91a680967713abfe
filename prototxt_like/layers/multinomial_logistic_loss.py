"""MultinomialLogisticLoss layer: log loss of probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import LEAST_PROBABILITY, Loss, at_least_one
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Loss):
    """Mean of -log of the probability of the true class. Bottom 0 contains probabilities, not scores.

    Probabilities are clamped to at least 1e-20, in the loss and in the gradient -1 / p.

    Source: BVLC/caffe src/caffe/layers/multinomial_logistic_loss_layer.cpp
    """

    restrictions = (
        "As in Caffe, a true class of probability 0 has a gradient of -1e20 / batch; prefer SoftmaxWithLoss.",
        "A label out of range raises an error (undefined in Caffe).",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Check that there is one label per item."""
        super().setup(parameter)
        labels = self.bottom_shapes[1]
        if count(labels, 1) != 1:
            self.fail_shape(f"bottom 1 must have one label per item, found {format_shape(labels)}")

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return the loss."""
        classes = count(probabilities.shape, 1)
        index = checked_index(self, labels.reshape(-1), classes, "label")
        rows = upcast(probabilities).reshape(-1, classes)
        true = rows.gather(1, index[:, None]).squeeze(1)
        floor = true.detach().clamp(min=LEAST_PROBABILITY)
        each = -floor.log() - (true - true.detach()) / floor
        return each.sum() / at_least_one(probabilities.shape[0])
