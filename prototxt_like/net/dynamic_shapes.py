"""Shape checks at run time for layers behind a Filter, whose batch size depends on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from prototxt_like.layers import Layer
from prototxt_like.limits import CAFFE_VALUES, BuildContext, format_shape
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@dataclass(frozen=True)
class DynamicShapeCheck:
    """Step that infers the shapes of its layer again for every new shape of its bottoms, like Caffe's Reshape.

    Args:
        key: Module key of the layer.
        layer_class: Class of the layer.
        parameter: LayerParameter of the layer.
        phase: "TRAIN" or "TEST".
        known: Shapes of the bottoms that have passed the check.
    """

    key: str
    layer_class: type[Layer]
    parameter: LayerParameter
    phase: str
    known: set[tuple[tuple[int, ...], ...]] = field(default_factory=set)

    def __call__(self, modules: Mapping[str, Any], *bottoms: Tensor) -> Any:
        """Check the shapes and run the layer.

        Args:
            modules: Layers of the net by module key.
            bottoms: Values of the bottoms.

        Raises:
            ShapeMismatch: If the layer does not support the shapes.
        """
        shapes = tuple(tuple(bottom.shape) for bottom in bottoms)
        if shapes not in self.known:
            self._check(modules[self.key], shapes)
            self.known.add(shapes)
        return modules[self.key](*bottoms)

    def _check(self, layer: Layer, shapes: tuple[tuple[int, ...], ...]) -> None:
        context = BuildContext(CAFFE_VALUES, shape_only=True)
        needed = self.layer_class(self.parameter, shapes, self.phase, context)
        for built, required in zip(layer.blobs, needed.blobs, strict=True):
            if built.shape != required.shape:
                layer.fail_shape(
                    f"its bottoms need a blob of {format_shape(required.shape)}, found {format_shape(built.shape)}"
                )
