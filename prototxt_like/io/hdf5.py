"""HDF5 files, by the optional package h5py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.io.file_bytes import MAX_BINARY_BYTES, PathLike, read_bytes, write_bytes
from prototxt_like.limits import MAX_VALUES, format_shape

SIGNATURE = b"\x89HDF"


@contextmanager
def open_hdf5(path: PathLike) -> Iterator[Any]:
    """Context manager that opens an HDF5 file for reading.

    Raises:
        FileError: If h5py is not installed, or the file cannot be read.
    """
    h5py = _import(path)
    with _errors(path), h5py.File(BytesIO(read_bytes(path, MAX_BINARY_BYTES)), "r") as file:
        yield file


@contextmanager
def write_hdf5(path: PathLike) -> Iterator[Any]:
    """Context manager for a new HDF5 file, which is written at its end and atomically.

    Raises:
        FileError: If h5py is not installed, or the file cannot be written.
    """
    h5py = _import(path)
    buffer = BytesIO()
    with _errors(path), h5py.File(buffer, "w") as file:
        yield file
    write_bytes(buffer.getvalue(), path)


def read_array(dataset: Any, path: PathLike) -> np.ndarray:
    """Return the values of a dataset as float32.

    Raises:
        FileError: If it is not a dataset of numbers in this file, or too large.
    """
    shape, kind = getattr(dataset, "shape", None), getattr(getattr(dataset, "dtype", None), "kind", "")
    if shape is None or kind not in "fiu" or dataset.external or dataset.is_virtual:
        raise FileError(f"{path}: {dataset.name} is not a dataset of numbers")
    if math.prod(shape) > MAX_VALUES:
        raise FileError(f"{path}: {dataset.name} is too large: found {format_shape(shape)}")
    return np.asarray(dataset[()], dtype=np.float32)


def _import(path: PathLike) -> Any:
    try:
        import h5py
    except ModuleNotFoundError:
        raise FileError(f'{path}: HDF5 needs the package h5py; install it: pip install "fer-lmdb[hdf5]"') from None
    return h5py


@contextmanager
def _errors(path: PathLike) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise FileError(f"{path}: damaged HDF5 file ({error})") from None
