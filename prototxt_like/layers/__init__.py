"""Caffe's layer catalogue: one type per file, each registered under its Caffe name."""

import importlib
import pkgutil

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import get_layer_class, layer_types, register

# A new layer is a new file: importing the folder registers whatever lies in it.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Layer", "get_layer_class", "layer_types", "register"]
