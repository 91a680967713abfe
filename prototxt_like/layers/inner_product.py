"""InnerProduct layer: fully connected layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers.base import Layer, count
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("InnerProduct")
class InnerProduct(Layer):
    """Flatten the axes from ``axis`` to K features and multiply them by a matrix.

    Blobs: weights (num_output, K), or (K, num_output) with ``transpose``; bias (num_output) unless
    ``bias_term: false``.

    Source: BVLC/caffe src/caffe/layers/inner_product_layer.cpp
    """

    parameter_field = "inner_product_param"
    reads_bottom_values = True
    weight: nn.Parameter
    bias: Tensor | None

    def setup(self, parameter: LayerParameter) -> None:
        """Create the weights and the bias."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        self.start_axis = self.canonical_axis(options.axis, len(shape))
        inputs = count(shape, self.start_axis)
        self.transpose: bool = options.transpose
        if options.num_output <= 0:
            self.fail("num_output must be positive")
        weight_shape = (inputs, options.num_output) if self.transpose else (options.num_output, inputs)
        self.add_blob("weight", weight_shape, options.weight_filler)
        if options.bias_term:
            self.add_blob("bias", (options.num_output,), options.bias_filler)
        else:
            self.register_parameter("bias", None)
        self.top_shapes = [(*shape[: self.start_axis], options.num_output)]

    def forward(self, x: Tensor) -> Tensor:
        """(..., K axes) -> (..., num_output)."""
        weight = self.weight.t() if self.transpose else self.weight
        return F.linear(x.flatten(self.start_axis), weight, self.bias)
