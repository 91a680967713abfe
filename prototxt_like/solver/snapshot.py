"""Write and restore Caffe snapshots: ``<prefix>_iter_N.caffemodel`` and ``.solverstate``, or both as HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prototxt_like.errors import FileError, SolverError
from prototxt_like.io.blobs import array_to_blob, blob_to_array
from prototxt_like.io.files import read_solver_state, write_binary
from prototxt_like.io.hdf5_snapshots import write_hdf5_state
from prototxt_like.net.caffemodel import load_weights, save_weights
from prototxt_like.net.net import Net
from prototxt_like.net.param_sharing import own_blobs
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter, SolverState
from prototxt_like.solver.lr_policies import current_step
from prototxt_like.solver.solver import Solver


def snapshot_path(solver: Solver, extension: str) -> Path:
    """Return the path of a snapshot at the current iteration, as in Caffe.

    Args:
        solver: Solver with snapshot_prefix.
        extension: ".caffemodel" or ".solverstate".

    Raises:
        SolverError: If the solver has no snapshot_prefix.
    """
    prefix = solver.parameter.snapshot_prefix
    if not prefix:
        raise SolverError("the solver has no snapshot_prefix; set one, e.g. runs/mine/face_emotion_net")
    return Path(f"{prefix}_iter_{solver.iteration}{extension}")


def check_snapshot_folder(parameter: SolverParameter) -> None:
    """Create the folder of the snapshots, and check that files can be written there.

    Raises:
        SolverError: If it is not writable.
    Source: BVLC/caffe src/caffe/solver.cpp, Solver::CheckSnapshotWritePermissions
    """
    folder = Path(parameter.snapshot_prefix).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise SolverError(
            f"cannot write to snapshot prefix '{parameter.snapshot_prefix}'; make sure that the directory is writable"
        )


def write_snapshot(solver: Solver) -> tuple[Path, Path]:
    """Write weights and solver state. Caffe and this package can resume from them.

    Returns:
        Paths of the .caffemodel and the .solverstate.

    Raises:
        SolverError: If there is no snapshot_prefix.
        FileError: If a file cannot be written, or the package for snapshot_format HDF5 is missing.
    """
    is_hdf5 = solver.parameter.snapshot_format == SolverParameter.HDF5
    suffix, write_state = (".h5", write_hdf5_state) if is_hdf5 else ("", write_binary)
    model, state = snapshot_path(solver, f".caffemodel{suffix}"), snapshot_path(solver, f".solverstate{suffix}")
    save_weights(solver.net, model)
    write_state(solver_state(solver, str(model)), state)
    return model, state


def restore_snapshot(solver: Solver, path: str | os.PathLike[str]) -> None:
    """Resume from a .solverstate of Caffe or of this package: weights, history and iteration.

    Args:
        solver: Solver of the same type and net as the one that wrote the file.
        path: Path of the .solverstate. Its caffemodel is searched at the recorded path, then next to this file.

    Raises:
        FileError: If a file is missing or damaged.
        SolverError: If the history does not match the net.
        WeightsError: If the weights do not match the net.
    """
    state = read_solver_state(path)
    if state.iter < 0:
        raise FileError(f"{path}: invalid iteration: found {state.iter}, expected 0 or more; use another snapshot")
    histories = _histories(solver, state, path)
    if state.learned_net:
        load_weights(solver.net, _learned_net(state.learned_net, Path(path)))
    for parameter, history in histories:
        solver.optimizer.set_history(parameter, history, state.iter)
    solver.zero_grad()
    solver.iteration = state.iter
    if solver.parameter.lr_policy == "plateau":
        solver.plateaus = state.current_step


def solver_state(solver: Solver, learned_net: str) -> SolverState:
    """Return the SolverState message: one history blob per parameter blob and state of the update rule.

    Caffe counts frozen blobs and BatchNorm statistics as parameters, so they have (zero) histories as well.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:276-294
    """
    state = SolverState(iter=solver.iteration, learned_net=learned_net)
    plateau = solver.parameter.lr_policy == "plateau"
    state.current_step = solver.plateaus if plateau else current_step(solver.parameter, solver.iteration)
    trained = _trained(solver)
    for index in range(len(solver.optimizer.history_names)):
        for blob in _learnable_blobs(solver.net):
            history = solver.optimizer.history(blob)[index] if id(blob) in trained else torch.zeros_like(blob)
            state.history.append(array_to_blob(history.detach().float().cpu().numpy()))
    return state


def _histories(solver: Solver, state: SolverState, path: str | os.PathLike[str]) -> list[tuple[Tensor, list[Tensor]]]:
    """Return the history tensors of every trained parameter, after checking the state."""
    blobs, kinds = list(_learnable_blobs(solver.net)), len(solver.optimizer.history_names)
    if len(state.history) != kinds * len(blobs):
        raise SolverError(
            f"{path}: wrong number of history blobs: found {len(state.history)}, expected {kinds * len(blobs)} for "
            f"{type(solver.optimizer).__name__} and this net; use the same net and solver type as the snapshot"
        )
    trained = _trained(solver)
    return [
        (blob, [_history(state, kind * len(blobs) + index, blob, path) for kind in range(kinds)])
        for index, blob in enumerate(blobs)
        if id(blob) in trained
    ]


def _history(state: SolverState, index: int, blob: Tensor, path: str | os.PathLike[str]) -> Tensor:
    array = blob_to_array(state.history[index], f"{path}: history {index}")
    if array.size != blob.numel():
        raise SolverError(
            f"{path}: wrong shape of history {index}: found {array.shape}, expected {tuple(blob.shape)}; "
            "use the net of the snapshot"
        )
    return torch.from_numpy(np.array(array.reshape(blob.shape))).to(blob.device)


def _learnable_blobs(net: Net) -> Iterable[Tensor]:
    """Return every parameter blob once, in the order of the net. A shared blob is at its owner's position."""
    blobs = (blob for layer in net.caffe_layers for blob in own_blobs(layer))
    return {id(blob): blob for blob in blobs}.values()


def _trained(solver: Solver) -> set[int]:
    return {id(parameter) for group in solver.optimizer.param_groups for parameter in group["params"]}


def _learned_net(written: str, state: Path) -> Path:
    for candidate in (Path(written), state.parent / Path(written).name):
        if candidate.is_file():
            return candidate
    raise FileError(f"{state}: its weights are missing: {written}; copy the caffemodel next to the solverstate")
