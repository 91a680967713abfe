"""Broadcasting of Scale and Bias blobs."""

from __future__ import annotations

from torch import Tensor

from prototxt_like.layers.base import Layer, Shape
from prototxt_like.limits import format_shape


class Affine(Layer):
    """Base class of layers that combine the bottom with a smaller blob, a parameter or a second bottom.

    A parameter blob covers ``num_axes`` axes (-1 = all) from ``axis``.
    """

    max_bottoms = 2
    blob_axis: int
    blob_shape: Shape

    def place(self, axis: int, num_axes: int) -> None:
        """Set the axes of the bottom that the blob covers.

        Args:
            axis: First axis; negative counts from the end. Ignored for a scalar second bottom.
            num_axes: Number of axes; -1 = all following axes. Ignored for a second bottom.
        """
        bottom = self.bottom_shapes[0]
        if len(self.bottom_shapes) == 2:
            self.blob_shape = self.bottom_shapes[1]
            self.blob_axis = 0 if self.blob_shape == () else self.canonical_axis(axis, len(bottom))
            self._check_second_bottom()
            return
        self.blob_axis = self.canonical_axis(axis, len(bottom))
        stop = len(bottom) if num_axes == -1 else self.blob_axis + num_axes
        if num_axes < -1 or stop > len(bottom):
            self.fail_shape(
                f"num_axes is {num_axes} from axis {self.blob_axis} of the bottom {format_shape(bottom)}; "
                f"use 0 to {len(bottom) - self.blob_axis}, or -1 for all"
            )
        self.blob_shape = bottom[self.blob_axis : stop]

    def _check_second_bottom(self) -> None:
        bottom, stop = self.bottom_shapes[0], self.blob_axis + len(self.blob_shape)
        if bottom[self.blob_axis : stop] != self.blob_shape:
            self.fail_shape(
                f"wrong shape of bottom 1: found {format_shape(self.blob_shape)}, expected the sizes of bottom 0 "
                f"{format_shape(bottom)} from axis {self.blob_axis}"
            )

    def spread(self, blob: Tensor, x: Tensor) -> Tensor:
        """Reshape the blob to broadcast over the bottom, in the bottom's dtype."""
        after = x.dim() - self.blob_axis - blob.dim()
        return blob.reshape((*blob.shape, *(1,) * after)).to(x.dtype)  # (...) -> (..., 1, 1)
