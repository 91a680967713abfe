"""HDF5Output layer, which is not supported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("HDF5Output")
class HDF5Output(Layer):
    """Caffe's layer that writes its bottoms to a file. Building it raises an error: net files must not write files."""

    min_bottoms = 0
    max_bottoms = None
    min_tops = 0
    max_tops = None
    parameter_field = "hdf5_output_param"
    restrictions = ("Not supported. Remove the layer and save the blobs that the net returns.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Raise an error."""
        self.fail("net files must not write files; remove the layer and save the blobs that net() returns")
