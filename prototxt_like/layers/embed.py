"""Embed layer: embedding lookup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers._index import checked_index
from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Embed")
class Embed(Layer):
    """Replace every index by the corresponding row of the weights.

    Blobs: weights (input_dim, num_output), bias (num_output) unless ``bias_term: false``.

    Source: BVLC/caffe src/caffe/layers/embed_layer.cpp
    """

    parameter_field = "embed_param"
    restrictions = ("An index outside 0 to input_dim - 1 raises an error (undefined in Caffe).",)
    weight: nn.Parameter
    bias: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the weights."""
        options = self.layer_param(parameter)
        if options.num_output <= 0 or options.input_dim <= 0:
            self.fail("num_output and input_dim must both be positive")
        self.add_blob("weight", (options.input_dim, options.num_output), options.weight_filler)
        self.bias_term: bool = options.bias_term
        if self.bias_term:
            self.add_blob("bias", (options.num_output,), options.bias_filler)
        self.top_shapes = [(*self.bottom_shapes[0], options.num_output)]

    def forward(self, index: Tensor) -> Tensor:
        """(...) indices -> (..., num_output)."""
        rows = F.embedding(checked_index(self, index, self.weight.shape[0], "index"), self.weight)
        return rows + self.bias if self.bias_term else rows
