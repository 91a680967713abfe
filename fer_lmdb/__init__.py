"""Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    from fer_lmdb import Recognizer
    Recognizer().predict(image)

Everything else is a module of its own; importing this package loads none of them.
"""

from __future__ import annotations

import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__"]

# PyTorch's idle threads shall sleep, not spin: as soon as another program wants the processor, spinning makes face
# detection seven times slower. OpenMP reads this once, when PyTorch is loaded, so it stands before everything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    """Import the recogniser when it is first asked for: PyTorch takes a second to load."""
    if name == "Recognizer":
        from fer_lmdb.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
