"""Which class builds which layer type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prototxt_like.errors import UnknownLayerType
from prototxt_like.layers.base import Layer
from prototxt_like.suggest import did_you_mean

LayerClass = TypeVar("LayerClass", bound=type[Layer])
_CLASSES: dict[str, type[Layer]] = {}


def register(type_name: str) -> Callable[[LayerClass], LayerClass]:
    """Class decorator: the class builds layers of this Caffe type.

    Args:
        type_name: As written in ``type: "..."``.

    Raises:
        ValueError: two classes claim the same type.
    """

    def add(cls: LayerClass) -> LayerClass:
        if type_name in _CLASSES:
            raise ValueError(f"layer type {type_name} is registered twice")
        cls.type_name = type_name
        _CLASSES[type_name] = cls
        return cls

    return add


def layer_types() -> list[str]:
    """Every registered type, sorted."""
    return sorted(_CLASSES)


def get_layer_class(type_name: str) -> type[Layer]:
    """The class that builds a type.

    Raises:
        UnknownLayerType: no such type; the message names the nearest.
    """
    if type_name in _CLASSES:
        return _CLASSES[type_name]
    hint = did_you_mean(type_name, _CLASSES) or "; docs/prototxt.md lists the known types"
    raise UnknownLayerType(f'unknown layer type "{type_name}"{hint}')
