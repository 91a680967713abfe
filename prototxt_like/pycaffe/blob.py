"""Blobs of pycaffe: data and diff as numpy arrays that share memory with the net."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor


class Blob:
    """Blob whose arrays are live: writing to ``data[...]`` changes the net.

    Args:
        data: Returns the current tensor of the values.
        diff: Returns the current tensor of the gradients.
        resize: Gives the blob a new shape; None = the shape is fixed.
    """

    def __init__(
        self,
        data: Callable[[], Tensor],
        diff: Callable[[], Tensor],
        resize: Callable[[tuple[int, ...]], None] | None = None,
    ) -> None:
        self._data, self._diff, self._resize = data, diff, resize

    @property
    def data(self) -> np.ndarray:
        """Values: float32, shared with the net until the blob is reshaped."""
        return self._data().detach().numpy()

    @property
    def diff(self) -> np.ndarray:
        """Gradients: float32, shared with the net until the blob is reshaped."""
        return self._diff().detach().numpy()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape."""
        return tuple(self._data().shape)

    @property
    def count(self) -> int:
        """Number of values."""
        return self._data().numel()

    @property
    def num(self) -> int:
        """First of four axes; missing axes have size 1."""
        return self._legacy_axis(0)

    @property
    def channels(self) -> int:
        """Second of four axes."""
        return self._legacy_axis(1)

    @property
    def height(self) -> int:
        """Third of four axes."""
        return self._legacy_axis(2)

    @property
    def width(self) -> int:
        """Last of four axes."""
        return self._legacy_axis(3)

    def reshape(self, *shape: int) -> None:
        """Change the shape; the layers follow in ``Net.reshape`` or in the next forward pass.

        Raises:
            ValueError: If the blob is a parameter.
        """
        if self._resize is None:
            raise ValueError("a parameter blob cannot be reshaped; change num_output or kernel_size in the prototxt")
        self._resize(tuple(int(size) for size in shape))

    def _legacy_axis(self, index: int) -> int:
        return self.shape[index] if index < len(self.shape) else 1
