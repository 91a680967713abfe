"""The Python layer, which is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Python")
class PythonLayer(Layer):
    """Runs Python code that the net names, which a net file is not trusted to do; building it is refused."""

    min_bottoms = 0
    max_bottoms = None
    min_tops = 0
    max_tops = None
    parameter_field = "python_param"
    restrictions = ("Not supported: use Caffe's own types, or register a class under a type name of its own.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Refuse."""
        options = self.layer_param(parameter)
        self.fail(
            f'it would run "{options.layer}" of the Python module "{options.module}", and a net file may not name '
            "code; use a built-in type, or register a layer class of your own"
        )
