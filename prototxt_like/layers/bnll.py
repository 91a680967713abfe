"""BNLL layer: binomial normal log likelihood."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("BNLL")
class BNLL(Neuron):
    """log(1 + exp(x)), computed without overflow.

    Source: BVLC/caffe src/caffe/layers/bnll_layer.cpp
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the softplus; x itself above 50."""
        return F.softplus(x, threshold=50)
