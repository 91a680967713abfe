"""Log layer: logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.base import upcast
from prototxt_like.layers.exp import natural_log_of_base
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Log")
class Log(Neuron):
    """log(shift + scale * x) to the given base; base -1 means e.

    Source: BVLC/caffe src/caffe/layers/log_layer.cpp
    """

    parameter_field = "log_param"
    restrictions = ("In place, the gradient is correct; Caffe squares the derivative and loses the top's gradient.",)
    in_place_note = "the gradient is correct; Caffe squares the derivative and loses the gradient of the top"

    def setup(self, parameter: LayerParameter) -> None:
        """Read base, scale and shift."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        log_base = natural_log_of_base(self, options.base)
        if log_base == 0:
            self.fail("invalid base: found 1, expected another positive number, or -1 for e")
        self.base_scale = 1 / log_base
        self.scale: float = options.scale
        self.shift: float = options.shift

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logarithm."""
        return torch.log(self.scale * upcast(x) + self.shift) * self.base_scale
