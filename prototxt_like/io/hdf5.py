"""HDF5 files, by the optional package h5py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prototxt_like.errors import FileError

SIGNATURE = b"\x89HDF"


@contextmanager
def open_hdf5(path: str | os.PathLike[str], mode: str = "r") -> Iterator[Any]:
    """Context manager that opens an HDF5 file.

    Args:
        path: Path of the file.
        mode: "r" to read, "w" to write a new file.

    Raises:
        FileError: If h5py is not installed, or the file cannot be read or written.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise FileError(f'{path}: HDF5 needs the package h5py: pip install "fer-lmdb[hdf5]"') from None
    try:
        with h5py.File(path, mode) as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise FileError(f"{path}: not a readable HDF5 file ({error})") from None
