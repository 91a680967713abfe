"""How large a net may be: sizes are claimed before memory is taken, so that a hostile file takes none.

A prototxt of a hundred bytes can ask for any amount of memory. Caffe itself ends at 2^31 - 1 values per blob; here
the parameters of a whole net are limited as well. The largest published Caffe nets have 0.15e9 parameters.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from prototxt_like.errors import NetError

#: Values in one blob, as in Caffe.
MAX_BLOB_VALUES = 2**31 - 1
#: Values in all parameter blobs of one net together: 2 GiB of float32. ``pl.Net(..., max_parameters=...)`` raises it.
MAX_PARAMETERS = 2**29
#: Axes of one blob, as in Caffe.
MAX_AXES = 32

_left: ContextVar[int | None] = ContextVar("prototxt_like_parameters_left", default=None)


@contextlib.contextmanager
def parameter_budget(values: int) -> Iterator[None]:
    """While this lasts, ``claim`` counts down from a number of values."""
    token = _left.set(values)
    try:
        yield
    finally:
        _left.reset(token)


def claim(shape: Sequence[int], what: str) -> None:
    """Ask for the memory of a parameter blob before taking it.

    Args:
        shape: of the blob.
        what: what error messages call it.

    Raises:
        NetError: the blob, or with it the net, is too large.
    """
    check_shape(shape, what)
    left = _left.get()
    if left is None:
        return
    left -= math.prod(shape)
    if left < 0:
        raise NetError(
            f"{what}: with its blob of {_sizes(shape)} the net has more parameters than allowed; "
            "check the sizes in the net, or raise max_parameters"
        )
    _left.set(left)


def check_shape(shape: Sequence[int], what: str) -> None:
    """Refuse a blob of more values or axes than Caffe's own blobs can have.

    Raises:
        NetError: too many, or a negative size.
    """
    if any(size < 0 for size in shape):
        raise NetError(f"{what}: a blob of {_sizes(shape)} has a negative size")
    if len(shape) > MAX_AXES:
        raise NetError(f"{what}: a blob with {len(shape)} axes; Caffe's have {MAX_AXES} at most")
    if math.prod(shape) > MAX_BLOB_VALUES:
        raise NetError(f"{what}: a blob of {_sizes(shape)} is larger than Caffe's limit of {MAX_BLOB_VALUES} values")


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "()"
