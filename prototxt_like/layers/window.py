"""Sliding windows as Caffe's messages describe them: once, once per axis, or as _h and _w."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prototxt_like.layers.base import Layer

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import ConvolutionParameter


def per_axis(
    layer: Layer, options: ConvolutionParameter, field: str, axes: int, default: int | None
) -> tuple[int, ...]:
    """One value per spatial axis from a repeated field or its _h and _w fields.

    Args:
        layer: whom a refusal names.
        options: message with the repeated field ``kernel_size``, ``stride``, ``pad`` or ``dilation``.
        field: its name.
        axes: number of spatial axes.
        default: value where nothing is given; None where the field is needed.

    Returns:
        ``axes`` values.
    """
    stem = field.removesuffix("_size")
    if stem != "dilation" and (options.HasField(f"{stem}_h") or options.HasField(f"{stem}_w")):
        return _height_and_width(layer, options, field, stem, axes)
    values = list(getattr(options, field))
    if not values and default is not None:
        return (default,) * axes
    if len(values) == 1:
        return (values[0],) * axes
    if len(values) != axes:
        layer.refuse(f"{field} is given {len(values)} times for {axes} spatial axes; give it once, or once per axis")
    return tuple(values)


def _height_and_width(layer: Layer, options: ConvolutionParameter, field: str, stem: str, axes: int) -> tuple[int, int]:
    if axes != 2:
        layer.refuse(f"{stem}_h and {stem}_w need 2 spatial axes, the bottom has {axes}; use {field}")
    if len(getattr(options, field)):
        layer.refuse(f"{field} and {stem}_h/{stem}_w are both given; use one of them")
    return getattr(options, f"{stem}_h"), getattr(options, f"{stem}_w")


def require_positive(layer: Layer, field: str, values: Sequence[int]) -> None:
    """Refuse a window whose size, stride or dilation is 0."""
    if any(value <= 0 for value in values):
        layer.refuse(f"{field} is {' x '.join(map(str, values))}; every value must be positive")
