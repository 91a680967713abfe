"""Size limits of nets. Sizes are checked before memory is allocated.

A prototxt of a hundred bytes can request any amount of memory. Caffe's own limit is 2^31 - 1 values per blob. Here a
lower limit, which the caller can raise, applies to each blob and to the sum of all parameters. For comparison, the
largest published Caffe nets have 0.15e9 parameters, and VGG16's largest blob at batch size 64 has 0.2e9 values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prototxt_like.errors import NetError

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: Caffe's limit on the number of values in a blob.
CAFFE_VALUES = 2**31 - 1
#: Default limit per blob and for all parameters of a net: 2 GiB of float32. See ``pl.Net(max_values=...)``.
MAX_VALUES = 2**29
#: Maximum number of axes of a blob, as in Caffe.
MAX_AXES = 32


class BuildContext:
    """Build settings and remaining size budget shared by the layers of one net.

    Args:
        max_values: Maximum number of values per blob and in all parameter blobs together.
        shape_only: Whether layers are built for shape inference only. Blobs are not filled, random numbers are not
                drawn, files are not read, and the batch may be empty.
    """

    def __init__(self, max_values: int = MAX_VALUES, *, shape_only: bool = False) -> None:
        self.max_values = max_values
        self.shape_only = shape_only
        self._left = max_values

    def reserve(self, shape: Sequence[int], what: str) -> None:
        """Check a parameter blob's size and subtract it from the budget, before memory is allocated.

        Args:
            shape: Shape of the blob.
            what: Name of the layer for error messages.

        Raises:
            NetError: If the blob or the sum of all parameters is too large.
        """
        self.check_shape(shape, what)
        self._left -= math.prod(shape)
        if self._left < 0:
            raise NetError(
                f"{what}: blob of {format_shape(shape)} brings the net above {self.max_values} parameters; "
                "check the sizes in the net, or raise max_values"
            )

    def check_shape(self, shape: Sequence[int], what: str) -> None:
        """Reject an implausible blob shape.

        Args:
            shape: Shape of the blob.
            what: Name of the layer for error messages.

        Raises:
            NetError: If an axis is below 1, or there are too many axes or values.
        """
        minimum = 0 if self.shape_only else 1  # a net is built for at least one image, but also runs on an empty batch
        if any(size < minimum for size in shape):
            raise NetError(f"{what}: a blob of {format_shape(shape)} has an axis below {minimum}")
        if len(shape) > MAX_AXES:
            raise NetError(f"{what}: too many axes: found {len(shape)}, expected at most {MAX_AXES}")
        count = math.prod(shape)
        if count > CAFFE_VALUES:
            raise NetError(
                f"{what}: a blob of {format_shape(shape)} is larger than Caffe's limit of {CAFFE_VALUES} values"
            )
        if count > self.max_values:
            raise NetError(
                f"{what}: a blob of {format_shape(shape)} has more than {self.max_values} values; "
                "check the sizes in the net, or raise max_values"
            )


def check_numbers(message: Message, what: str) -> None:
    """Reject unsigned values above 2^31 - 1, which Caffe reads as negative.

    Args:
        message: LayerParameter, or any message inside it.
        what: Name of the layer for error messages.

    Raises:
        NetError: If a value is above 2^31 - 1.
    """
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                check_numbers(part, what)
        elif field.cpp_type == field.CPPTYPE_UINT32:
            largest = value if isinstance(value, int) else max(value)
            if largest > CAFFE_VALUES:
                raise NetError(f"{what}: {field.name} is too large: found {largest}, expected at most {CAFFE_VALUES}")


def format_shape(shape: Sequence[int]) -> str:
    """Format a shape for messages: ``2 x 3 x 5``, or ``()`` for a scalar."""
    return " x ".join(str(size) for size in shape) or "()"
