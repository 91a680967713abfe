"""InfogainLoss layer: log loss weighted by a confusion matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.errors import FileError
from prototxt_like.io.files import read_blob
from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Shape, count, upcast
from prototxt_like.layers.loss import LEAST_PROBABILITY, ClassLoss
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("InfogainLoss")
class InfogainLoss(ClassLoss):
    """Mean of -sum over the classes c of H[label, c] * log softmax(scores)[c].

    H is the third bottom, or a blob in the file ``source`` (binaryproto): K * K values of any shape for K classes.
    Probabilities are clamped to at least 1e-20 in the loss, but not in the gradient.
    A second top contains the probabilities. The second top and H receive no gradient.

    Source: BVLC/caffe src/caffe/layers/infogain_loss_layer.cpp
    """

    max_bottoms = 3
    max_tops = 2
    parameter_field = "infogain_loss_param"
    more_fields = ("loss_param",)
    restrictions = (
        "The default `loss_weight` of a second top is 0; Caffe wants both weights written.",
        "`source` is read relative to the working directory, as in Caffe.",
        "`normalize` raises an error, as in Caffe; use `normalization`.",
    )

    matrix: Tensor

    def setup(self, parameter: LayerParameter) -> None:
        """Read the axis, H and the normalization."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        self.read_axis(options.axis)
        if parameter.loss_param.HasField("normalize"):
            self.fail("normalize is not supported; use normalization")
        self.read_normalization(parameter)
        if len(self.bottom_shapes) == 3:
            self._check_size(self.bottom_shapes[2])
        else:
            self.register_buffer("matrix", self._read(options), persistent=False)
        if self.top_count == 2:
            self.top_shapes.append(self.bottom_shapes[0])

    def _read(self, options: Any) -> Tensor:
        if not options.HasField("source"):
            self.fail("the matrix H is missing; add a third bottom, or set infogain_loss_param { source }")
        if self.context.shape_only:
            return torch.empty(self.classes, self.classes)
        try:
            matrix = torch.from_numpy(read_blob(options.source))
        except FileError as error:
            self.fail(str(error))
        self._check_size(tuple(matrix.shape))
        return matrix.reshape(self.classes, self.classes)

    def _check_size(self, shape: Shape) -> None:
        if count(shape) != self.classes**2:
            self.fail_shape(f"H must have {self.classes} x {self.classes} values, found {format_shape(shape)}")

    def forward(self, scores: Tensor, labels: Tensor, matrix: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return the loss, and the probabilities if there is a second top."""
        classes = scores.shape[self.label_axis]
        given = (self.matrix if matrix is None else matrix).detach().reshape(classes, classes)
        flat_labels = checked_index(self, labels.reshape(-1), classes, "label", but=self.ignore_label)
        valid = None if self.ignore_label is None else flat_labels != self.ignore_label
        index = flat_labels if valid is None else torch.where(valid, flat_labels, 0)
        # (..., C, ...) -> (positions, C)
        logs = F.log_softmax(upcast(scores).movedim(self.label_axis, -1).reshape(-1, classes), 1)
        floored = logs.clamp(min=math.log(LEAST_PROBABILITY)).detach() + (logs - logs.detach())
        each = -(given.index_select(0, index) * floored).sum(1)
        if valid is not None:
            each = torch.where(valid, each, 0)
        outer, inner = count(scores.shape, 0, self.label_axis), count(scores.shape, self.label_axis + 1)
        loss = self.normalize(each.sum(), outer, inner, valid)
        if self.top_count == 1:
            return loss
        return loss, F.softmax(upcast(scores.detach()), self.label_axis)
