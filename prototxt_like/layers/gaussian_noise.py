"""Noise while training."""

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
    """In TRAIN add noise with mean 0 and standard deviation ``std``; in TEST the bottom passes unchanged."""

    parameter_field = "gaussian_noise_param"
    origin = "extension of prototxt_like; real Caffe does not know it"

    def setup(self, parameter: LayerParameter) -> None:
        """Read the standard deviation."""
        super().setup(parameter)
        self.std: float = self.layer_param(parameter).std
        if not 0 <= self.std < math.inf:
            self.fail(f"std is {self.std:g}; it must not be negative")

    def forward(self, x: Tensor) -> Tensor:
        """Add noise in TRAIN, pass in TEST."""
        return x + torch.randn_like(x) * self.std if self.training else x
