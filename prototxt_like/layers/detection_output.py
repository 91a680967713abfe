"""DetectionOutput layer of SSD: detections from offsets, scores and prior boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prototxt_like.layers._boxes import decode, suppress
from prototxt_like.layers.base import Layer, count, upcast
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    PriorBoxParameter,
)

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("DetectionOutput")
class DetectionOutput(Layer):
    """Decode boxes, apply non-maximum suppression and list the detections.

    Bottoms: offsets (N, priors * 4 [* classes]), scores (N, priors * classes), priors (1, 2, priors * 4).
    Top (1, 1, detections, 7): image, class, score, x1, y1, x2, y2, as fractions of the image size, sorted by class
    and descending score. Without detections, one row per image: its index, then -1.

    Source: weiliu89/caffe (ssd) src/caffe/layers/detection_output_layer.cpp, util/bbox_util.cpp
    """

    origin = "SSD"
    data_dependent = True
    min_bottoms = 3
    max_bottoms = 4
    parameter_field = "detection_output_param"
    restrictions = (
        "No gradient. torch.export is not supported, because the number of detections depends on the data.",
        "`save_output_param` and `visualize` are ignored with a note, because net files must not write files.",
        "A fourth bottom, the image to draw on, has no effect.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read thresholds and check the sizes."""
        options = self.layer_param(parameter)
        if options.save_output_param.output_directory or options.visualize:
            self.notes.append("save_output_param and visualize are ignored, because net files must not write files")
        self.classes: int = options.num_classes
        self.background: int = options.background_label_id
        self.share_location: bool = options.share_location
        self.code_type = PriorBoxParameter.CodeType.Name(options.code_type)
        self.variance_in_target: bool = options.variance_encoded_in_target
        self.keep_top_k: int = options.keep_top_k
        self.least_score = options.confidence_threshold if options.HasField("confidence_threshold") else -math.inf
        self._read_suppression(options.nms_param)
        self._check_sizes()
        self.top_shapes = [(1, 1, 1, 7)]

    def _read_suppression(self, options: Any) -> None:
        self.overlap: float = options.nms_threshold
        self.eta: float = options.eta
        self.top_k: int = options.top_k if options.HasField("top_k") else -1
        if self.overlap < 0:
            self.fail(f"invalid nms_threshold: found {self.overlap:g}, expected 0 or more")
        if not 0 < self.eta <= 1:
            self.fail(f"invalid eta: found {self.eta:g}, expected above 0 and at most 1")

    def _check_sizes(self) -> None:
        offsets, scores, priors = self.bottom_shapes[:3]
        if self.classes < 1:
            self.fail("num_classes must be set and positive")
        if len(priors) != 3 or priors[:2] != (1, 2) or priors[2] % 4:
            self.fail_shape(f"bottom 2 (priors) must be 1 x 2 x 4 * priors, found {format_shape(priors)}")
        self.priors = priors[2] // 4
        sets = 1 if self.share_location else self.classes
        for index, shape, expected in ((0, offsets, self.priors * sets * 4), (1, scores, self.priors * self.classes)):
            if not shape or count(shape, 1) != expected or shape[0] != offsets[0]:
                self.fail_shape(
                    f"bottom {index} must be {offsets[0] if offsets else 'N'} x {expected} for {self.priors} priors "
                    f"and {self.classes} classes, found {format_shape(shape)}"
                )

    @torch.no_grad()
    def forward(self, offsets: Tensor, scores: Tensor, priors: Tensor, image: Tensor | None = None) -> Tensor:
        """Return the detections."""
        number = offsets.shape[0]
        boxes_of, variances = upcast(priors).reshape(2, -1, 4)
        # (N, priors * sets * 4) -> (N, sets, priors, 4)
        codes = upcast(offsets).reshape(number, self.priors, -1, 4).transpose(1, 2)
        boxes = decode(codes, boxes_of, None if self.variance_in_target else variances, self.code_type)
        by_class = upcast(scores).reshape(number, self.priors, self.classes).transpose(1, 2)
        rows = [self._detect(index, boxes[index], by_class[index]) for index in range(number)]
        top = torch.cat(rows)
        if not len(top):
            top = boxes.new_full((number, 7), -1.0)
            top[:, 0] = torch.arange(number, device=top.device)
        return top[None, None]

    def _detect(self, image: int, boxes: Tensor, scores: Tensor) -> Tensor:
        """Return the rows of one image: boxes (sets, priors, 4), scores (classes, priors) -> (detections, 7)."""
        found = [self._detect_class(label, boxes, scores) for label in range(self.classes) if label != self.background]
        rows = torch.cat([boxes.new_empty(0, 6), *found])
        if -1 < self.keep_top_k < len(rows):
            best = rows[:, 1].sort(descending=True, stable=True).indices[: self.keep_top_k]
            # sort by class again, best first within each class
            rows = rows[best]
            rows = rows[rows[:, 0].sort(stable=True).indices]
        return torch.cat([rows.new_full((len(rows), 1), image), rows], 1)

    def _detect_class(self, label: int, boxes: Tensor, scores: Tensor) -> Tensor:
        """Return class, score and box of the detections of one class: (detections, 6)."""
        candidates = boxes[0 if self.share_location else label]
        selected = suppress(candidates, scores[label], self.least_score, self.overlap, self.eta, self.top_k)
        labels = boxes.new_full((len(selected), 1), label)
        return torch.cat([labels, scores[label][selected, None], candidates[selected]], 1)
