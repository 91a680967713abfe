"""Building layers for their shapes alone: blobs are not filled, random numbers not drawn, files not read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_dry: ContextVar[bool] = ContextVar("prototxt_like_dry_run", default=False)


@contextlib.contextmanager
def dry_run() -> Iterator[None]:
    """While this lasts, layers are built to be asked for their shapes and then forgotten; a batch may be empty."""
    before = _dry.set(True)
    try:
        yield
    finally:
        _dry.reset(before)


def is_dry_run() -> bool:
    """Whether layers are built for their shapes alone."""
    return _dry.get()
