"""Power layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Power")
class Power(Neuron):
    """(shift + scale * x) ** power; a constant without gradient if power or scale is 0.

    Source: BVLC/caffe src/caffe/layers/power_layer.cpp
    """

    parameter_field = "power_param"
    restrictions = ("In place with power 1, the gradient is correct; Caffe squares the factor.",)
    in_place_note = "the gradient is correct; Caffe squares the derivative and loses the gradient of the top"

    def setup(self, parameter: LayerParameter) -> None:
        """Read power, scale and shift."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        self.power: float = options.power
        self.scale: float = options.scale
        self.shift: float = options.shift
        self.constant: float | None = self._constant()

    def _constant(self) -> float | None:
        if self.power == 0:
            return 1.0
        if self.scale != 0:
            return None
        if self.shift == 0 and self.power < 0:
            self.fail("scale and shift are 0 and power is negative, which divides by 0; change one of them")
        if self.shift < 0 and math.isfinite(self.power) and not self.power.is_integer():
            self.fail(
                f"scale is 0, and shift {self.shift:g} to the power {self.power:g} is undefined; change one of them"
            )
        # torch's power, as in C, returns infinity on overflow
        return (torch.tensor(self.shift, dtype=torch.float64, device="cpu") ** self.power).float().item()

    def forward(self, x: Tensor) -> Tensor:
        """Shift, scale and raise to the power."""
        if self.constant is not None:
            return torch.full_like(x, self.constant)
        base = x if self.scale == 1 and self.shift == 0 else self.scale * x + self.shift
        return base if self.power == 1 else base**self.power
