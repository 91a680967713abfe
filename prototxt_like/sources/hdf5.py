"""HDF5Data layer: rows of the datasets of HDF5 files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prototxt_like.io.hdf5 import open_hdf5, read_array
from prototxt_like.io.image_list import read_path_list
from prototxt_like.sources.base import Source

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

Row = tuple[np.ndarray, ...]


class Hdf5Source(Source):
    """Source of an HDF5Data layer: the datasets named like its tops, of all files that ``source`` lists.

    Args:
        layer: HDF5Data layer whose ``source`` is an existing list of files.
        generator: Random numbers of ``shuffle``.

    Raises:
        FileError: If a file cannot be read or lacks a dataset, or h5py is not installed.
    Source: BVLC/caffe src/caffe/layers/hdf5_data_layer.cpp
    """

    def __init__(self, layer: LayerParameter, generator: torch.Generator) -> None:
        super().__init__(layer)
        options = layer.hdf5_data_param
        self._is_shuffled, self._generator = options.shuffle, generator
        self._batch_size = options.batch_size
        source = Path(options.source)
        self._files = [_beside(path, source) for path in read_path_list(source)]
        if self._batch_size < 1:
            raise self.fail(f"invalid batch_size: found {self._batch_size}, expected 1 or more")
        self._rows = self._cycle()
        first = self._load(self._files[0])
        self.shapes = {top: (self._batch_size, *array.shape[1:]) for top, array in zip(layer.top, first, strict=True)}

    def next_batch(self) -> dict[str, Tensor]:
        """Return the next rows; after the last one, start again."""
        rows = [next(self._rows) for _ in range(self._batch_size)]
        columns = [torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)]
        return dict(zip(self.layer.top, columns, strict=True))

    def _cycle(self) -> Iterator[Row]:
        while True:
            for index in self._order(len(self._files)):
                arrays = self._load(self._files[index])
                for row in self._order(len(arrays[0])):
                    yield tuple(array[row] for array in arrays)

    def _order(self, count: int) -> list[int]:
        if not self._is_shuffled:
            return list(range(count))
        return torch.randperm(count, generator=self._generator).tolist()

    def _load(self, path: str) -> list[np.ndarray]:
        with open_hdf5(path) as file:
            for top in self.layer.top:
                if top not in file:
                    raise self.fail(f'{path} has no dataset "{top}"; found {", ".join(sorted(file)) or "none"}')
            arrays = [read_array(file[top], path) for top in self.layer.top]
        lengths = {len(array) if array.ndim else 0 for array in arrays}
        if len(lengths) != 1 or 0 in lengths:
            raise self.fail(f"{path}: the datasets have {sorted(lengths)} rows, expected one equal number above 0")
        return arrays


def _beside(name: str, source: Path) -> str:
    """Return the path as written if it exists, or beside the list."""
    beside = source.parent / name
    return str(beside) if not Path(name).exists() and beside.exists() else name
