"""Reader of the weights in the package `mtcnn`.

The files are joblib pickles in LZ4 frames. The unpickler accepts numeric arrays only, so a file cannot run code.
Neither TensorFlow nor `mtcnn` is imported.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import torch
from numpy.typing import NDArray

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.packages import package_folder

Array = NDArray[np.float32]


def weights_folder() -> Path:
    """Return the folder of `pnet.lz4`, `rnet.lz4` and `onet.lz4` in the installed package.

    Raises:
        DetectorError: If the package `mtcnn` is not installed.
    """
    return package_folder("mtcnn", "mtcnn", 'pip install "mtcnn>=1.0"') / "assets" / "weights"


def read_arrays(path: Path) -> list[Array]:
    """Read the arrays of one weights file, in the order and layout of Keras.

    Raises:
        DetectorError: If the file is missing, damaged, or contains anything except arrays.
    """
    try:
        stored = _ArrayUnpickler(io.BytesIO(lz4.frame.decompress(path.read_bytes()))).load()
        return [item.array for item in stored]
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DetectorError(f"{path} cannot be read as MTCNN weights: {error}") from error


def load_keras_arrays(net: torch.nn.Module, arrays: list[Array], flattened: dict[str, tuple[int, int, int]]) -> None:
    """Copy Keras arrays into a torch module with parameters in the same order.

    Args:
        net: Module to fill.
        arrays: Kernels as (height, width, in, out) or (in, out), biases and slopes with the channel last.
        flattened: (channels, height, width) of the flattened input of linear layers, by the name of their weight. The
            original flattens (width, height, channels), torch flattens (channels, height, width).

    Raises:
        DetectorError: If number or shapes of the arrays do not match the module.
    """
    parameters = dict(net.named_parameters())
    if len(parameters) != len(arrays):
        raise DetectorError(
            f"MTCNN weights do not match: found {len(arrays)} arrays, expected {len(parameters)}; reinstall mtcnn"
        )
    for (name, parameter), array in zip(parameters.items(), arrays, strict=True):
        value = _torch_layout(array, flattened.get(name))
        if value.shape != parameter.shape:
            found = f"found {value.shape}, expected {tuple(parameter.shape)}"
            raise DetectorError(f"MTCNN weights of {name} are damaged: {found}; reinstall mtcnn")
        parameter.data = torch.from_numpy(value.copy())


def _torch_layout(array: Array, flattened: tuple[int, int, int] | None) -> Array:
    if flattened is not None:
        channels, height, width = flattened
        array = array.reshape(width, height, channels, -1).transpose(2, 1, 0, 3).reshape(array.shape)
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)  # (height, width, in, out) -> (out, in, height, width)
    if array.ndim == 2:
        return array.T  # (in, out) -> (out, in)
    return array.reshape(-1)


class _StoredArray:
    """Array in the stream: its description is pickled, its bytes follow."""

    file: io.BytesIO
    array: Array

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self.file.read(1)[0]
            self.file.seek(padding, io.SEEK_CUR)
        dtype, shape = state["dtype"], state["shape"]
        data = self.file.read(dtype.itemsize * math.prod(shape))
        self.array = np.frombuffer(data, dtype).reshape(shape, order=state["order"]).astype(np.float32)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler restricted to lists of numpy arrays as stored by joblib."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._stored_array = type("StoredArray", (_StoredArray,), {"file": file})

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): self._stored_array,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")
        return allowed[module, name]
