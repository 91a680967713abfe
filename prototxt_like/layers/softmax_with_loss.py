"""SoftmaxWithLoss layer: cross-entropy loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import count, upcast
from prototxt_like.layers.loss import LARGEST_LOG_LOSS, ClassLoss
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

_NOTHING_IGNORED = -(2**31) - 1  # below every int32 that ignore_label can hold


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(ClassLoss):
    """Mean of -log softmax(scores)[label], clamped to 87.3365 per position.

    A second top contains the probabilities and receives no gradient.
    Clamping does not change the gradient.

    Source: BVLC/caffe src/caffe/layers/softmax_loss_layer.cpp
    """

    parameter_field = "softmax_param"
    more_fields = ("loss_param",)
    max_tops = 2
    restrictions = (
        "A label out of range raises an error (undefined in Caffe).",
        "A second top is an extension: Caffe rejects it with and without `loss_weight`. The default weight is 0.",
        "Extension: with `soft_label`, bottom 1 contains a distribution over the classes per position, in the shape of "
        "the scores. The loss is not clamped, and `ignore_label` is not supported.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis, the ignored label and the normalization."""
        super().setup(parameter)
        self.soft: bool = parameter.loss_param.soft_label
        self.read_axis(self.layer_param(parameter).axis, soft=self.soft)
        self.read_normalization(parameter)
        if self.soft and self.ignore_label is not None:
            self.fail("soft_label does not support ignore_label; remove one of them")
        if self.top_count == 2:
            self.top_shapes.append(self.bottom_shapes[0])

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the loss, and the probabilities if there is a second top."""
        scores = upcast(scores)
        outer, inner = count(scores.shape, 0, self.label_axis), count(scores.shape, self.label_axis + 1)
        total, valid = self._soft_loss(scores, labels) if self.soft else self._hard_loss(scores, labels)
        loss = self.normalize(total, outer, inner, valid)
        if self.top_count == 1:
            return loss
        return loss, F.softmax(scores.detach(), self.label_axis)

    def _rows(self, x: Tensor) -> Tensor:
        """(..., C, ...) -> (positions, C)."""
        return x.movedim(self.label_axis, -1).reshape(-1, x.shape[self.label_axis])

    def _hard_loss(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        classes = scores.shape[self.label_axis]
        index = checked_index(self, labels.reshape(-1), classes, "label", but=self.ignore_label)
        ignored = _NOTHING_IGNORED if self.ignore_label is None else self.ignore_label
        each = F.cross_entropy(self._rows(scores), index, ignore_index=ignored, reduction="none")
        each = each.clamp(max=LARGEST_LOG_LOSS).detach() + (each - each.detach())
        return each.sum(), None if self.ignore_label is None else index != self.ignore_label

    def _soft_loss(self, scores: Tensor, distributions: Tensor) -> tuple[Tensor, None]:
        wanted = self._rows(distributions).to(scores.dtype)
        return F.cross_entropy(self._rows(scores), wanted, reduction="sum"), None
