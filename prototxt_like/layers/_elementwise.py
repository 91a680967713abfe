"""Base class of element-wise layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class Neuron(Layer):
    """Layer with one bottom and one top of the same shape."""

    def setup(self, parameter: LayerParameter) -> None:
        """Set the top shape to the bottom shape."""
        self.top_shapes = [self.bottom_shapes[0]]
