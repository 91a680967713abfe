"""Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    from fer_lmdb import Recognizer
    Recognizer().predict(image)

Everything else is a module of its own; importing this package loads none of them.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the recogniser when it is first asked for: PyTorch takes a second to load."""
    if name == "Recognizer":
        from fer_lmdb.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
