"""Kernel geometry of a ConvolutionParameter: one value for all axes, one per axis, or _h and _w."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer
from prototxt_like.limits import format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import ConvolutionParameter


@dataclass(frozen=True)
class KernelGeometry:
    """Kernel size, stride, padding and dilation, one value per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def read(cls, layer: Layer, options: ConvolutionParameter, axes: int) -> KernelGeometry:
        """Read and check the geometry.

        Args:
            layer: Layer for error messages.
            options: ConvolutionParameter to read.
            axes: Number of spatial axes.

        Raises:
            NetError: If a field is missing, has too many values, is set in two ways, or is 0 but must be positive.
        """
        geometry = cls(
            kernel=_per_axis(layer, options, "kernel_size", axes, default=None),
            stride=_per_axis(layer, options, "stride", axes, default=1),
            pad=_per_axis(layer, options, "pad", axes, default=0),
            dilation=_per_axis(layer, options, "dilation", axes, default=1),
        )
        _require_positive(layer, "kernel_size", geometry.kernel)
        _require_positive(layer, "stride", geometry.stride)
        _require_positive(layer, "dilation", geometry.dilation)
        return geometry

    def extent(self, axis: int) -> int:
        """Return the length of the kernel along an axis, including dilation."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def positions(self, layer: Layer, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return the number of kernel positions along every axis.

        A kernel that exceeds the padded bottom by less than the stride has one position, as in Caffe, whose division
        rounds toward zero; it reads zeros behind the bottom.

        Args:
            layer: Layer for error messages.
            sizes: Spatial sizes of the bottom.

        Raises:
            ShapeMismatch: If the kernel exceeds the padded bottom by the stride or more.
        """
        room = self._room(sizes)
        if any(steps <= -stride for steps, stride in zip(room, self.stride, strict=True)):
            layer.fail_shape(
                f"the kernel {format_shape(self.kernel)} exceeds the bottom {format_shape(sizes)} "
                f"with pad {format_shape(self.pad)} and dilation {format_shape(self.dilation)}"
            )
        return tuple(max(steps, 0) // stride + 1 for steps, stride in zip(room, self.stride, strict=True))

    def excess(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return by how much the kernel exceeds the padded bottom along every axis, 0 if it fits."""
        return tuple(max(-steps, 0) for steps in self._room(sizes))

    def _room(self, sizes: Sequence[int]) -> list[int]:
        return [
            size + 2 * pad - self.extent(axis) for axis, (size, pad) in enumerate(zip(sizes, self.pad, strict=True))
        ]


def _per_axis(
    layer: Layer, options: ConvolutionParameter, field: str, axes: int, default: int | None
) -> tuple[int, ...]:
    """Return one value per spatial axis from a repeated field or its _h and _w fields; default None = required."""
    stem = field.removesuffix("_size")
    if stem != "dilation" and (options.HasField(f"{stem}_h") or options.HasField(f"{stem}_w")):
        return _height_and_width(layer, options, field, stem, axes)
    values = list(getattr(options, field))
    if not values and default is not None:
        return (default,) * axes
    if len(values) == 1:
        return (values[0],) * axes
    if len(values) != axes:
        layer.fail(f"{field} has {len(values)} values for {axes} spatial axes; set one value, or one per axis")
    return tuple(values)


def _height_and_width(layer: Layer, options: ConvolutionParameter, field: str, stem: str, axes: int) -> tuple[int, int]:
    if axes != 2:
        layer.fail(f"{stem}_h and {stem}_w need 2 spatial axes, the bottom has {axes}; use {field}")
    if len(getattr(options, field)):
        layer.fail(f"{field} and {stem}_h/{stem}_w are both set; use one of them")
    return getattr(options, f"{stem}_h"), getattr(options, f"{stem}_w")


def _require_positive(layer: Layer, field: str, values: Sequence[int]) -> None:
    if any(value <= 0 for value in values):
        layer.fail(f"{field} is {format_shape(values)}; every value must be positive")
