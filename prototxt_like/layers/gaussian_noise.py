"""GaussianNoise layer, an extension."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("GaussianNoise")
class GaussianNoise(Neuron):
    """In TRAIN, add Gaussian noise with mean 0 and standard deviation ``std``. In TEST, the top equals the bottom."""

    parameter_field = "gaussian_noise_param"
    origin = "extension of prototxt_like; not part of Caffe"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the standard deviation."""
        super().setup(parameter)
        self.std: float = self.layer_param(parameter).std
        if not 0 <= self.std < math.inf:
            self.fail(f"invalid std: found {self.std:g}, expected 0 or more")

    def forward(self, x: Tensor) -> Tensor:
        """Add noise in TRAIN."""
        return x + torch.randn_like(x) * self.std if self.training else x
