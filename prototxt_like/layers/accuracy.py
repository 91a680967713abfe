"""Accuracy layer: top-k accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Layer, count
from prototxt_like.layers.loss import check_label_count
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Accuracy")
class Accuracy(Layer):
    """Fraction of positions whose true class is among the ``top_k`` highest scores. A tie counts as wrong.

    A second top contains the accuracy per class; 0 for a class without samples.

    Source: BVLC/caffe src/caffe/layers/accuracy_layer.cpp
    """

    parameter_field = "accuracy_param"
    min_bottoms = 2
    max_bottoms = 2
    max_tops = 2
    restrictions = (
        "NaN scores raise an error; Caffe counts an all-NaN row as correct.",
        "A label outside the classes is an error (undefined in Caffe).",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis, k and the ignored label."""
        options = self.layer_param(parameter)
        scores, labels = self.bottom_shapes
        self.label_axis = self.canonical_axis(options.axis, len(scores))
        classes = scores[self.label_axis]
        check_label_count(self, scores, labels, self.label_axis)
        self.top_k: int = options.top_k
        if not 1 <= self.top_k <= classes:
            self.fail(f"invalid top_k: found {self.top_k}, expected 1 to {classes}")
        self.ignore_label: int | None = options.ignore_label if options.HasField("ignore_label") else None
        self.top_shapes = [(), (classes,)][: self.top_count]

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the accuracy, and the accuracy per class if there is a second top."""
        self._reject_nan(scores)
        classes = scores.shape[self.label_axis]
        flat_labels = checked_index(self, labels.reshape(-1), classes, "label", but=self.ignore_label)
        flat_scores = scores.movedim(self.label_axis, -1).reshape(-1, classes)  # (..., C, ...) -> (positions, C)
        valid = torch.ones_like(flat_labels, dtype=torch.bool)
        if self.ignore_label is not None:
            valid = flat_labels != self.ignore_label
        index = torch.where(valid, flat_labels, 0)
        true_scores = flat_scores.gather(1, index[:, None])
        better = (~(flat_scores < true_scores)).sum(1) - 1  # without the true class itself
        right = ((better < self.top_k) & valid).float()
        accuracy = right.sum() / valid.sum().clamp(min=1)
        if self.top_count == 1:
            return accuracy
        zeros = right.new_zeros(classes)
        right_per_class = zeros.scatter_add(0, index, right)
        count_per_class = zeros.scatter_add(0, index, valid.float())
        return accuracy, right_per_class / count_per_class.clamp(min=1)

    def _reject_nan(self, scores: Tensor) -> None:
        if torch.compiler.is_compiling() or scores.device.type != "cpu":
            return
        if torch.isnan(scores).any():
            raise NetError(f"{self.display_name}: invalid scores: found NaN among {count(scores.shape)} values")
