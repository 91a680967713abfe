"""Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    from fer_lmdb import Recognizer
    Recognizer().predict(image)

Everything else is a module of its own; importing this package loads none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fer_lmdb._version import __version__

if TYPE_CHECKING:
    from fer_lmdb.inference.recognizer import Recognizer as Recognizer
    from fer_lmdb.results import FacePrediction as FacePrediction

__all__ = ["FacePrediction", "Recognizer", "__version__"]

_HOMES = {"FacePrediction": "fer_lmdb.results", "Recognizer": "fer_lmdb.inference.recognizer"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: PyTorch takes a second to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
