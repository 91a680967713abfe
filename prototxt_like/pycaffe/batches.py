"""Passes over many inputs in batches, and arrays as input of MemoryData layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from prototxt_like.net.layerwise import LayerwiseNet

Arrays = dict[str, np.ndarray]


class BatchMethods:
    """Methods of ``Net`` that run it several times."""

    _layerwise: LayerwiseNet
    _memory_data: tuple[np.ndarray, np.ndarray] | None

    @property
    def inputs(self) -> list[str]:
        """Names of the input blobs."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[str]:
        """Names of the output blobs."""
        raise NotImplementedError

    def forward_all(self, blobs: Sequence[str] | None = None, **kwargs: np.ndarray) -> Arrays:
        """Run all inputs in batches; the last one is padded with zeros.

        Args:
            blobs: Blobs to return in addition to the outputs.
            kwargs: Inputs by name, of any length.

        Returns:
            Arrays by blob name, of the length of the inputs.
        """
        results: dict[str, list[np.ndarray]] = {}
        for batch in self._batch(kwargs):
            for name, values in self.forward(blobs=blobs, **batch).items():  # type: ignore[attr-defined]
                results.setdefault(name, []).extend(values.copy())
        count = len(next(iter(kwargs.values())))
        return {name: np.asarray(values)[:count] for name, values in results.items()}

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **kwargs: np.ndarray
    ) -> tuple[Arrays, Arrays]:
        """Run all inputs forward and backward in batches; see ``forward_all``.

        Args:
            blobs: Blobs to return in addition to the outputs.
            diffs: Blobs whose diff is returned in addition to those of the inputs.
            kwargs: Inputs, and diffs of the outputs, by name.

        Returns:
            Blobs and diffs by name.
        """
        found: tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]] = ({}, {})
        forward = self._batch({name: kwargs[name] for name in self.inputs if name in kwargs})
        backward = self._batch({name: kwargs[name] for name in self.outputs if name in kwargs})
        for inputs, tops in zip_longest(forward, backward, fillvalue=dict[str, np.ndarray]()):
            parts = (self.forward(blobs=blobs, **inputs), self.backward(diffs=diffs, **tops))  # type: ignore[attr-defined]
            for results, part in zip(found, parts, strict=True):
                for name, values in part.items():
                    results.setdefault(name, []).extend(values.copy())
        count = len(next(iter(kwargs.values())))
        first, second = ({name: np.asarray(values)[:count] for name, values in part.items()} for part in found)
        return first, second

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Set the input of a MemoryData layer; each forward pass takes its next rows.

        Args:
            data: (N, C, H, W) float32; N is a multiple of the batch size.
            labels: (N,) or (N, 1, 1, 1).

        Raises:
            ValueError: If the net has no MemoryData layer, or the shapes do not fit.
        """
        layer = next((layer for layer in self._layerwise.layers if layer.type == "MemoryData"), None)
        if layer is None:
            raise ValueError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        shape = tuple(self._layerwise.data[layer.top[0]].shape)
        if data.shape[1:] != shape[1:] or len(data) % shape[0] or len(data) != len(labels) or not len(data):
            raise ValueError(f"wrong shape of the data: found {data.shape} and {len(labels)} labels, expected {shape}")
        self._memory_data = (np.asarray(data, np.float32), np.asarray(labels, np.float32).reshape(len(labels)))

    def _fill_memory_data(self, index: int) -> None:
        """Copy the next rows into the tops of a MemoryData layer."""
        layer = self._layerwise.layers[index]
        if layer.type != "MemoryData" or self._memory_data is None:
            return
        size = len(self._layerwise.data[layer.top[0]])
        for top, values in zip(layer.top, self._memory_data, strict=False):
            self._layerwise.data[top].copy_(torch.from_numpy(values[:size].copy()))
        data, labels = self._memory_data
        self._memory_data = np.roll(data, -size, axis=0), np.roll(labels, -size)

    def _batch(self, arrays: Mapping[str, np.ndarray]) -> Iterator[Arrays]:
        """Yield batches of the net's size; the last one is padded with zeros."""
        if not arrays:
            return
        size = len(next(iter(self._layerwise.data.values())))
        count = len(next(iter(arrays.values())))
        for start in range(0, count, size):
            batch = {name: np.asarray(values[start : start + size]) for name, values in arrays.items()}
            missing = size - len(next(iter(batch.values())))
            yield {name: _pad(values, missing) for name, values in batch.items()}


def _pad(values: np.ndarray, missing: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)]) if missing else values
