"""Eltwise layer: sum, product or maximum of several blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.schema.caffe_schema_pb2 import EltwiseParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Eltwise")
class Eltwise(Layer):
    """Combine bottoms of the same shape element-wise: SUM with optional ``coeff``, PROD, or MAX.

    If the first two bottoms are equal, the gradient of MAX goes to the second; a later bottom must be greater.

    Source: BVLC/caffe src/caffe/layers/eltwise_layer.cpp
    """

    min_bottoms = 2
    max_bottoms = None
    parameter_field = "eltwise_param"
    reads_bottom_values = True
    restrictions = (
        "The gradient of PROD is always the stable one; `stable_prod_grad` has no effect.",
        "In place, SUM and MAX ignore bottom 0, as in Caffe, which clears it first. The gradient of PROD in place is "
        "correct; Caffe overwrites the gradient of the top.",
    )

    def setup(self, parameter: LayerParameter) -> None:
        """Read the operation."""
        options = self.layer_param(parameter)
        self.same_shapes()
        self.operation = EltwiseParameter.EltwiseOp.Name(options.operation)
        self.coefficients = list(options.coeff)
        if self.coefficients and len(self.coefficients) != len(self.bottom_shapes):
            self.fail(
                f"{len(self.coefficients)} coeff for {len(self.bottom_shapes)} bottoms; set none, or one per bottom"
            )
        if self.coefficients and self.operation == "PROD":
            self.fail("PROD does not support coeff; use SUM or remove it")
        self.top_shapes = [self.bottom_shapes[0]]
        if self.operation == "PROD":
            self.in_place_note = "the gradient is correct; Caffe overwrites the gradient of the top"
        else:
            self.in_place_note = (
                "as in Caffe, the values of bottom 0 are cleared first and do not count; rename its top"
            )

    def forward(self, *bottoms: Tensor) -> Tensor:
        """Combine the bottoms."""
        if self.in_place and self.operation != "PROD":
            return self._without_first(bottoms)
        combine = {"SUM": self._sum, "PROD": _product, "MAX": _maximum}[self.operation]
        return combine(bottoms)

    def _without_first(self, bottoms: tuple[Tensor, ...]) -> Tensor:
        """Combine the bottoms in place: Caffe clears bottom 0 before it reads it, and its gradient before the others.

        Source: BVLC/caffe src/caffe/layers/eltwise_layer.cpp, caffe_set in Forward_cpu, shared diff in Backward_cpu
        """
        first, needs_gradient = bottoms[0], bottoms[0].requires_grad
        if self.operation == "MAX":
            lowest = torch.full_like(first, torch.finfo(torch.float32).min)
            top = _maximum((lowest, *bottoms[1:]))
            return top.detach() + (first - first.detach()) * 0 if needs_gradient else top
        top = self._sum((torch.zeros_like(first), *bottoms[1:]))
        if not needs_gradient:
            return top
        factor = self.coefficients[0] if self.coefficients else 1.0
        return top.detach() + factor * (top - top.detach() + first - first.detach())

    def _sum(self, bottoms: tuple[Tensor, ...]) -> Tensor:
        coefficients = self.coefficients or [1.0] * len(bottoms)
        top = bottoms[0] if coefficients[0] == 1 else bottoms[0] * coefficients[0]
        for bottom, coefficient in zip(bottoms[1:], coefficients[1:], strict=True):
            top = torch.add(top, bottom, alpha=coefficient)
        return top


def _product(bottoms: tuple[Tensor, ...]) -> Tensor:
    top = bottoms[0]
    for bottom in bottoms[1:]:
        top = top * bottom
    return top


def _maximum(bottoms: tuple[Tensor, ...]) -> Tensor:
    top = torch.where(bottoms[0] > bottoms[1], bottoms[0], bottoms[1])
    for bottom in bottoms[2:]:
        top = torch.where(bottom > top, bottom, top)
    return top
