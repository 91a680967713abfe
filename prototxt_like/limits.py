"""How large a net may be: sizes are claimed before memory is taken, so that a hostile file takes none.

A prototxt of a hundred bytes can ask for any amount of memory. Caffe itself ends at 2^31 - 1 values a blob; here one
lower number, which the caller may raise, limits every blob and all parameters of a net together. The largest published
Caffe nets have 0.15e9 parameters, and VGG16's largest blob for a batch of 64 has 0.2e9 values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prototxt_like.errors import NetError

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: Values in one blob that Caffe can count.
CAFFE_VALUES = 2**31 - 1
#: Values in one blob, and in all parameter blobs of a net together: 2 GiB of float32. ``pl.Net(max_values=...)``.
MAX_VALUES = 2**29
#: Axes of one blob, as in Caffe.
MAX_AXES = 32


class BuildContext:
    """What the layers of one net have in common while they are built: the memory that is left, and what for.

    Args:
        max_values: values in one blob, and in all parameter blobs together.
        shape_only: layers are built to be asked for their shapes and then forgotten: blobs are not filled, random
            numbers not drawn, files not read, and a batch may be empty.
    """

    def __init__(self, max_values: int = MAX_VALUES, *, shape_only: bool = False) -> None:
        self.max_values = max_values
        self.shape_only = shape_only
        self._left = max_values

    def reserve(self, shape: Sequence[int], what: str) -> None:
        """Ask for the memory of a parameter blob before taking it.

        Args:
            shape: of the blob.
            what: what error messages call it.

        Raises:
            NetError: the blob, or with it the net, is too large.
        """
        self.check_shape(shape, what)
        self._left -= math.prod(shape)
        if self._left < 0:
            raise NetError(
                f"{what}: with its blob of {format_shape(shape)} the net has more than {self.max_values} parameters; "
                "check the sizes in the net, or raise max_values"
            )

    def check_shape(self, shape: Sequence[int], what: str) -> None:
        """Refuse a blob that nobody can have meant.

        Raises:
            NetError: an axis below 1, too many axes, or too many values.
        """
        least = 0 if self.shape_only else 1  # a net is built for a picture at least, and may be asked about none
        if any(size < least for size in shape):
            raise NetError(f"{what}: a blob of {format_shape(shape)} has an axis below {least}")
        if len(shape) > MAX_AXES:
            raise NetError(f"{what}: a blob with {len(shape)} axes; Caffe's have {MAX_AXES} at most")
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
    """Refuse counts that are no int to Caffe: it would take them as negative.

    Args:
        message: a layer's parameter, or any message inside it.
        what: what error messages call the layer.

    Raises:
        NetError: a count above 2^31 - 1.
    """
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                check_numbers(part, what)
        elif field.cpp_type == field.CPPTYPE_UINT32:
            largest = value if isinstance(value, int) else max(value)
            if largest > CAFFE_VALUES:
                raise NetError(f"{what}: {field.name} is {largest}, but Caffe counts to {CAFFE_VALUES}")


def format_shape(shape: Sequence[int]) -> str:
    """A shape as messages write it: ``2 x 3 x 5``; a scalar is ``()``."""
    return " x ".join(str(size) for size in shape) or "()"
