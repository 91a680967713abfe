"""Weights and solver states as HDF5, in Caffe's layout.

A layer is a group below /data, and its blobs are the datasets 0, 1 and so on. HDF5 reads a slash in a layer's name as
nested groups; this module reads and writes them, while Caffe itself fails (BVLC/caffe issue 4267).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.blobs import array_to_blob, blob_to_array
from prototxt_like.io.file_bytes import PathLike
from prototxt_like.io.hdf5 import open_hdf5, read_array, write_hdf5
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, SolverState


def read_hdf5_weights(path: PathLike) -> NetParameter:
    """Read a .caffemodel.h5: layers with their names and blobs.

    Raises:
        FileError: If the file cannot be read or does not contain weights, or h5py is not installed.
    Source: BVLC/caffe src/caffe/net.cpp, Net::CopyTrainedLayersFromHDF5
    """
    net = NetParameter()
    with open_hdf5(path) as file:
        if "data" not in file or not hasattr(file["data"], "items"):
            raise FileError(f"{path}: no weights: found {', '.join(file) or 'no groups'}, expected the group data")
        for name, datasets in _layers(file["data"], ""):
            layer = net.layer.add(name=name)
            for index in range(len(datasets)):
                if str(index) not in datasets:
                    raise FileError(f'{path}: layer "{name}" lacks blob {index}; found {", ".join(sorted(datasets))}')
                layer.blobs.append(array_to_blob(read_array(datasets[str(index)], path)))
    return net


def write_hdf5_weights(net: NetParameter, path: PathLike) -> None:
    """Write a .caffemodel.h5.

    Args:
        net: NetParameter with blobs.
        path: Path of the file; replaced atomically.

    Raises:
        FileError: If the file cannot be written, or h5py is not installed.
    Source: BVLC/caffe src/caffe/net.cpp, Net::ToHDF5
    """
    nested = [layer.name for layer in net.layer if "/" in layer.name]
    if nested:
        glog.warning("net.cpp:861", f'{path}: Caffe cannot load HDF5 weights of layers with "/", e.g. {nested[0]}')
    with write_hdf5(path) as file:
        data = file.create_group("data")
        for layer in net.layer:
            group = data.require_group(layer.name)
            for index, blob in enumerate(layer.blobs):
                group[str(index)] = blob_to_array(blob)


def read_hdf5_state(path: PathLike) -> SolverState:
    """Read a .solverstate.h5.

    Raises:
        FileError: If the file cannot be read or is not a solver state, or h5py is not installed.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp, SGDSolver::RestoreSolverStateFromHDF5
    """
    with open_hdf5(path) as file:
        missing = [name for name in ("iter", "current_step", "history") if name not in file]
        if missing:
            raise FileError(f"{path}: not a solver state: {missing[0]} is missing")
        state = SolverState(iter=_integer(file["iter"], path), current_step=_integer(file["current_step"], path))
        if "learned_net" in file:
            state.learned_net = bytes(file["learned_net"][()]).rstrip(b"\0").decode(errors="surrogateescape")
        history = file["history"]
        for index in range(len(history)):
            state.history.append(array_to_blob(read_array(history[str(index)], path)))
    return state


def write_hdf5_state(state: SolverState, path: PathLike) -> None:
    """Write a .solverstate.h5, in the types that Caffe reads.

    Raises:
        FileError: If the file cannot be written, or h5py is not installed.
    """
    text = state.learned_net.encode(errors="surrogateescape")
    with write_hdf5(path) as file:
        file["iter"] = np.array([state.iter], np.int32)
        file["learned_net"] = np.array(text, dtype=f"S{len(text) + 1}")  # with the zero byte that ends a C string
        file["current_step"] = np.array([state.current_step], np.int32)
        history = file.create_group("history")
        for index, blob in enumerate(state.history):
            history[str(index)] = blob_to_array(blob)


def _layers(group: Any, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each layer below a group with its datasets. External links are not followed."""
    for name in group:
        if not _is_hard_link(group, name) or not hasattr(group[name], "items"):
            continue
        child = group[name]
        datasets = {key: child[key] for key in child if _is_hard_link(child, key) and hasattr(child[key], "shape")}
        if datasets:
            yield prefix + name, datasets
        yield from _layers(child, f"{prefix}{name}/")


def _is_hard_link(group: Any, name: str) -> bool:
    return type(group.get(name, getlink=True)).__name__ == "HardLink"


def _integer(dataset: Any, path: PathLike) -> int:
    values = read_array(dataset, path)
    if values.size != 1:
        raise FileError(f"{path}: {dataset.name} has {values.size} values, expected 1")
    return int(np.asarray(dataset[()]).reshape(-1)[0])
