"""Silence layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Silence")
class Silence(Layer):
    """Consume blobs so that they are not outputs of the net. They receive no gradient.

    Source: BVLC/caffe src/caffe/layers/silence_layer.cpp
    """

    max_bottoms = None
    min_tops = 0
    max_tops = 0

    def setup(self, parameter: LayerParameter) -> None:
        """Do nothing."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """Return no tops."""
        return ()
