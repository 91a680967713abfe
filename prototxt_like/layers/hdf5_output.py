"""The HDF5Output layer, which is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to a file that the net names, which a net file is not trusted to do; it is refused."""

    min_bottoms = 0
    max_bottoms = None
    min_tops = 0
    max_tops = None
    parameter_field = "hdf5_output_param"
    restrictions = ("Not supported: the blobs are outputs of the net; write them to a file yourself.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Refuse."""
        self.fail("a net file may not name files to write; remove the layer and save the blobs that net() returns")
