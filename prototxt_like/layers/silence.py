"""The end of blobs that nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Silence")
class Silence(Layer):
    """Take blobs so that they are no outputs of the net; nothing flows back.

    Source: BVLC/caffe src/caffe/layers/silence_layer.cpp
    """

    max_bottoms = None
    min_tops = 0
    max_tops = 0

    def setup(self, parameter: LayerParameter) -> None:
        """Nothing to read."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()
