"""Where a Scale or Bias blob lies on its bottom."""

from __future__ import annotations

from torch import Tensor

from prototxt_like.layers.base import Layer, Shape
from prototxt_like.limits import format_shape


class Affine(Layer):
    """A layer that combines its bottom with a smaller blob: its own, or a second bottom.

    The blob covers the axes from ``axis`` on: ``num_axes`` of them (-1 = all) where it is the layer's own.
    """

    max_bottoms = 2
    blob_axis: int
    blob_shape: Shape

    def place(self, axis: int, num_axes: int) -> None:
        """Find which axes of the bottom the blob covers.

        Args:
            axis: First axis; negative counts from the end. A scalar lies anywhere.
            num_axes: How many axes; -1 = all that follow. A second bottom brings its own.
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
                f"bottom 1 is {format_shape(self.blob_shape)}, which is not what bottom 0 {format_shape(bottom)} "
                f"has from axis {self.blob_axis} on"
            )

    def spread(self, blob: Tensor, x: Tensor) -> Tensor:
        """View the blob so that it broadcasts over the bottom, in the bottom's precision."""
        after = x.dim() - self.blob_axis - blob.dim()
        return blob.reshape(*blob.shape, *(1,) * after).to(x.dtype)  # (...) -> (..., 1, 1)
