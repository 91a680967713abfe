"""What the element-wise layers share: one bottom, one top, the same shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class Neuron(Layer):
    """A layer whose top has the shape of its bottom."""

    def setup(self, parameter: LayerParameter) -> None:
        """Give the top the shape of the bottom."""
        self.top_shapes = [self.bottom_shapes[0]]
