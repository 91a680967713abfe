"""Registry of layer classes by Caffe type name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prototxt_like.errors import UnknownLayerType
from prototxt_like.forks import explain_fork_type
from prototxt_like.layers.base import Layer
from prototxt_like.suggest import closest_match

LayerClass = TypeVar("LayerClass", bound=type[Layer])
_CLASSES: dict[str, type[Layer]] = {}


def register(type_name: str) -> Callable[[LayerClass], LayerClass]:
    """Register a class for a Caffe layer type (class decorator).

    Args:
        type_name: Type name as in ``type: "..."``.

    Raises:
        ValueError: If the type is already registered.
    """

    def add(cls: LayerClass) -> LayerClass:
        if type_name in _CLASSES:
            raise ValueError(f"layer type {type_name} is registered twice")
        cls.type_name = type_name
        _CLASSES[type_name] = cls
        return cls

    return add


def layer_types() -> list[str]:
    """Return all registered types, sorted."""
    return sorted(_CLASSES)


def get_layer_class(type_name: str, layer_name: str = "") -> type[Layer]:
    """Return the class of a layer type.

    Args:
        type_name: Type name as in ``type: "..."``.
        layer_name: Name of the layer for error messages.

    Raises:
        UnknownLayerType: If there is no such type. The message contains the layer, and the fork of the type and the
            way out, or a similar name.
    """
    if type_name in _CLASSES:
        return _CLASSES[type_name]
    where = f'layer "{layer_name}": ' if layer_name else ""
    if fork := explain_fork_type(type_name):
        raise UnknownLayerType(f'{where}unknown layer type "{type_name}": {fork}', layer_name)
    found = closest_match(type_name, _CLASSES, max_difference=2)
    hint = f'; did you mean "{found}"?' if found else "; docs/prototxt.md lists the known types"
    raise UnknownLayerType(f'{where}unknown layer type "{type_name}"{hint}', layer_name)
