"""BNLL layer: binomial normal log likelihood."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("BNLL")
class BNLL(Neuron):
    """log(1 + exp(x)), computed without overflow.

    Source: BVLC/caffe src/caffe/layers/bnll_layer.cpp
    """

    backward_reads = ("bottom",)
    in_place_gradient_is_exact = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the softplus; x itself above 50."""
        return F.softplus(x, threshold=50)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Multiply by the sigmoid of the bottom."""
        return gradient * torch.sigmoid(bottom)
