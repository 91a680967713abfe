"""ReLU6 layer of MobileNet forks."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register


@register("ReLU6")
class ReLU6(Neuron):
    """min(max(x, 0), 6); the gradient is 0 at both bounds.

    Source: chinakook/Caffe-MobileNetV2-ReLU6 relu6_layer.cpp
    """

    origin = "MobileNet forks"
    parameter_field = "relu6_param"
    restrictions = ("`negative_slope` and `engine` have no effect, as in the fork.",)
    backward_reads = ("bottom",)

    def forward(self, x: Tensor) -> Tensor:
        """Clip the values."""
        return F.relu6(x)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Keep the gradient where the bottom is between the bounds."""
        return gradient * ((bottom > 0) & (bottom < 6))
