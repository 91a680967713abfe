"""Exp layer: exponential function."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.base import Layer, upcast
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Exp")
class Exp(Neuron):
    """base ** (shift + scale * x); base -1 means e.

    Source: BVLC/caffe src/caffe/layers/exp_layer.cpp
    """

    parameter_field = "exp_param"
    backward_reads = ("top",)

    def setup(self, parameter: LayerParameter) -> None:
        """Read base, scale and shift."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        log_base = natural_log_of_base(self, options.base)
        self.inner_scale = log_base * options.scale
        try:
            self.outer_scale = math.exp(log_base * options.shift)
        except OverflowError:
            self.fail(f"base {options.base:g} to the power of shift {options.shift:g} overflows; use a smaller shift")

    def forward(self, x: Tensor) -> Tensor:
        """Compute the power."""
        return torch.exp(self.inner_scale * upcast(x)) * self.outer_scale

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by the top and the factor of the exponent."""
        return gradient * top * self.inner_scale


def natural_log_of_base(layer: Layer, base: float) -> float:
    """Return the natural logarithm of the base of Exp and Log; -1 means e.

    Raises:
        NetError: If the base is neither -1 nor positive.
    """
    if base == -1:
        return 1.0
    if not 0 < base < math.inf:
        layer.fail(f"invalid base: found {base:g}, expected a positive number, or -1 for e")
    return math.log(base)
