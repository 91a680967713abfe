"""The exponential function."""

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
    """base ** (shift + scale * x); base -1 stands for e.

    Source: BVLC/caffe src/caffe/layers/exp_layer.cpp
    """

    parameter_field = "exp_param"

    def setup(self, parameter: LayerParameter) -> None:
        """Read base, scale and shift."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        log_base = natural_log_of_base(self, options.base)
        self.inner_scale = log_base * options.scale
        try:
            self.outer_scale = math.exp(log_base * options.shift)
        except OverflowError:
            self.fail(f"base {options.base:g} to the power of its shift {options.shift:g} is beyond every number")

    def forward(self, x: Tensor) -> Tensor:
        """Raise the base to the power of every value."""
        return torch.exp(self.inner_scale * upcast(x)) * self.outer_scale


def natural_log_of_base(layer: Layer, base: float) -> float:
    """Logarithm of the base of Exp and Log; -1 stands for e.

    Raises:
        NetError: the base is neither -1 nor positive.
    """
    if base == -1:
        return 1.0
    if not 0 < base < math.inf:
        layer.fail(f"base is {base:g}; it must be positive, or -1 for e")
    return math.log(base)
