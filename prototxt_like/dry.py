"""Building layers for their shapes alone: blobs are not filled, random numbers not drawn, files not read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_shape_only: ContextVar[bool] = ContextVar("prototxt_like_shape_only", default=False)


@contextlib.contextmanager
def shape_only() -> Iterator[None]:
    """While this lasts, layers are built to be asked for their shapes and then forgotten; a batch may be empty."""
    before = _shape_only.set(True)
    try:
        yield
    finally:
        _shape_only.reset(before)


def is_shape_only() -> bool:
    """Whether layers are built for their shapes alone."""
    return _shape_only.get()
