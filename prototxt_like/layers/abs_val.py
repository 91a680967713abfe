"""AbsVal layer: absolute value."""

from __future__ import annotations

from torch import Tensor

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("AbsVal")
class AbsVal(Neuron):
    """|x|; the gradient at 0 is 0.

    Source: BVLC/caffe src/caffe/layers/absval_layer.cpp
    """

    allows_in_place = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the absolute values."""
        return x.abs()
