"""Caffe's layer types: one type per module, registered under its Caffe name."""

import importlib
import pkgutil

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import get_layer_class, layer_types, register

# Importing a module registers its layer type, so a new layer only needs a new file.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Layer", "get_layer_class", "layer_types", "register"]
