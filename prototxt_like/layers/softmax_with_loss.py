"""Softmax and the logarithmic loss of the true class, in one stable step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers.base import at_least_float32, count
from prototxt_like.layers.loss import LARGEST_LOG_LOSS, ClassLoss, integer_labels
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

_NOTHING_IGNORED = -(2**31) - 1  # below every int32 that ignore_label can hold


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(ClassLoss):
    """Mean of -log softmax(scores)[label]; one position costs at most 87.3365.

    A second top gives the probabilities; no gradient flows back through it.
    The gradient stays probability - 1 where the loss is cut off.

    Source: BVLC/caffe src/caffe/layers/softmax_loss_layer.cpp
    """

    parameter_field = "softmax_param"
    max_tops = 2
    restrictions = (
        "A label outside the classes is an error (undefined in Caffe).",
        "With two tops the second weighs 0 where `loss_weight` is not given (Caffe wants both written).",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis, what to ignore and how to normalise."""
        super().setup(parameter)
        self.read_axis(self.options(parameter).axis)
        self.read_normalization(parameter)
        if self.top_count == 2:
            self.top_shapes.append(self.bottom_shapes[0])

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The loss, and the probabilities where the net has a top for them."""
        scores = at_least_float32(scores)
        flat_labels = integer_labels(self, labels, self.classes, self.ignore_label)
        outer, inner = count(scores.shape, 0, self.label_axis), count(scores.shape, self.label_axis + 1)
        # (..., C, ...) -> (positions, C)
        flat_scores = scores.movedim(self.label_axis, -1).reshape(-1, self.classes)
        ignored = _NOTHING_IGNORED if self.ignore_label is None else self.ignore_label
        each = F.cross_entropy(flat_scores, flat_labels, ignore_index=ignored, reduction="none")
        each = each.clamp(max=LARGEST_LOG_LOSS).detach() + (each - each.detach())
        valid = None if self.ignore_label is None else flat_labels != self.ignore_label
        loss = self.normalize(each.sum(), outer, inner, valid)
        if self.top_count == 1:
            return loss
        return loss, F.softmax(scores.detach(), self.label_axis)
