"""Base classes of loss layers: scalar top, labels and normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer, count
from prototxt_like.limits import format_shape
from prototxt_like.schema import caffe_schema_pb2

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

#: -log of the smallest normal float32, the maximum log loss.
LARGEST_LOG_LOSS = 87.33654475
#: Lower limit of probabilities in InfogainLoss and MultinomialLogisticLoss.
LEAST_PROBABILITY = 1e-20
_MODES = caffe_schema_pb2.LossParameter.NormalizationMode


class Loss(Layer):
    """Layer whose first top is a scalar loss with weight 1."""

    min_bottoms = 2
    max_bottoms = 2
    default_loss_weight = 1.0

    def setup(self, parameter: LayerParameter) -> None:
        """Check the batch axes and set the scalar top shape."""
        first, second = self.bottom_shapes[0], self.bottom_shapes[1]
        if not first or not second or first[0] != second[0]:
            self.fail_shape(
                "both bottoms need the same first axis (the batch); "
                f"bottom 0 is {format_shape(first)}, bottom 1 is {format_shape(second)}"
            )
        self.top_shapes = [()]


class NormalizedLoss(Loss):
    """Loss with normalization and an ignored label from ``loss_param``."""

    def read_normalization(self, parameter: LayerParameter, default: str = "VALID") -> None:
        """Read the ignored label and the normalization from ``loss_param``."""
        options = parameter.loss_param
        self.ignore_label: int | None = options.ignore_label if options.HasField("ignore_label") else None
        if options.HasField("normalization"):
            self.normalization = _MODES.Name(options.normalization)
        elif options.HasField("normalize"):
            self.normalization = "VALID" if options.normalize else "BATCH_SIZE"
        else:
            self.normalization = default

    def normalize(self, total: Tensor, outer: int, inner: int, valid: Tensor | None) -> Tensor:
        """Divide a summed loss by the normalizer, at least 1.

        Args:
            total: Scalar sum.
            outer: Number of positions before the class axis (the batch).
            inner: Number of positions after the class axis.
            valid: (outer * inner,) bool, False for ignored labels; None if there is no ignored label.
        """
        if self.normalization == "NONE":
            return total
        if self.normalization == "VALID" and valid is not None:
            return total / valid.sum().clamp(min=1)
        return total / at_least_one(outer if self.normalization == "BATCH_SIZE" else outer * inner)


class ClassLoss(NormalizedLoss):
    """Loss over scores along a class axis, with one label per position."""

    label_axis: int
    classes: int

    def read_axis(self, axis: int, *, soft: bool = False) -> None:
        """Set the class axis and check that there is one label (or distribution) per position."""
        scores, labels = self.bottom_shapes[0], self.bottom_shapes[1]
        self.label_axis = self.canonical_axis(axis, len(scores))
        self.classes = scores[self.label_axis]
        if soft:
            self.same_shapes(why="soft_label requires labels with the shape of the scores")
        else:
            check_label_count(self, scores, labels, self.label_axis)


def at_least_one(size: int) -> int:
    """Return max(size, 1), so that the loss of an empty batch is 0."""
    return size or 1  # neither max() nor torch.sym_max compiles with every version of PyTorch if the size is a symbol


def check_label_count(layer: Layer, scores: tuple[int, ...], labels: tuple[int, ...], axis: int) -> None:
    """Check that there is one label per position of the scores."""
    positions = count(scores, 0, axis) * count(scores, axis + 1)
    if count(labels) != positions:
        layer.fail_shape(
            f"scores {format_shape(scores)} with the classes on axis {axis} need {positions} labels, "
            f"found {count(labels)} in {format_shape(labels)}"
        )
