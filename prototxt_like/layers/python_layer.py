"""Python layer, which is not supported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("Python")
class PythonLayer(Layer):
    """Caffe's layer that runs Python code. Building it raises an error: net files must not run code."""

    min_bottoms = 0
    max_bottoms = None
    min_tops = 0
    max_tops = None
    parameter_field = "python_param"
    restrictions = ("Not supported. Use another layer type, or register a layer class.",)

    def setup(self, parameter: LayerParameter) -> None:
        """Raise an error."""
        options = self.layer_param(parameter)
        self.fail(
            f'net files must not run code: found "{options.layer}" of the Python module "{options.module}"; '
            "use a built-in type, or register a layer class"
        )
