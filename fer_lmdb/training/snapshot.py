"""Snapshots: everything that --resume needs, in one .safetensors file of the run folder.

    tensors   net/<name>                     state of the net
              solver/<parameter>/<name>      optimizer state by parameter number
              average/<layer>/<i>            moving average of the weights, with ema_decay
              loss_sum                       see `TrainState`
    metadata  iteration, other fields of `TrainState`, and the solver's plain values (JSON)

`Solver.state_dict` nests tensors below parameter numbers; a .safetensors file is flat. Parameter groups are not stored,
since the recipe defines them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

import prototxt_like as pl
from fer_lmdb.errors import RunError, one_line
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.tensors import save_tensors
from fer_lmdb.models.run_folder import SNAPSHOT, RunFolder
from fer_lmdb.training.ema import ModelEMA
from fer_lmdb.training.state import TrainState

SNAPSHOT_FORMAT = "fer-lmdb snapshot 1"


@dataclass(frozen=True)
class Snapshot:
    """Contents of a snapshot file.

    Attributes:
        tensors: Tensors by name.
        metadata: Values that can be stored as JSON.
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]

    @classmethod
    def read(cls, run: RunFolder) -> Snapshot | None:
        """Return the newest snapshot of a run, or None if it was stopped before its first one.

        Raises:
            RunError: If the snapshot is damaged.
        """
        if not run.snapshot.exists():
            return None
        from fer_lmdb.artifacts.base import parse_texts
        from fer_lmdb.artifacts.snapshot import ENCODED, SnapshotTexts

        name, remedy = printable_path(run.snapshot), "delete it to restart the run from scratch"
        try:
            with safe_open(run.snapshot, framework="pt") as file:
                texts = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError) as error:
            raise RunError(f"{name}: damaged ({error}); {remedy}") from error
        stored = parse_texts(SnapshotTexts, texts, ENCODED, name, RunError, remedy)
        return cls(tensors, stored.metadata.to_dict())

    def write(self, run: RunFolder) -> None:
        """Replace the snapshot of a run atomically.

        Raises:
            OSError: If it cannot be written, e.g. because the disk is full.
        """
        texts = {"format": SNAPSHOT_FORMAT, "metadata": json.dumps(self.metadata)}
        save_tensors(run.snapshot, self.tensors, texts)


def take_snapshot(net: pl.Net, solver: pl.Solver, ema: ModelEMA | None, state: TrainState) -> Snapshot:
    """Return the complete state of a training run."""
    values = state.state_dict()
    tensors = {f"net/{key}": value for key, value in net.state_dict().items()}
    tensors |= {f"solver/{key}": value for key, value in _solver_tensors(solver).items()}
    if ema:
        tensors |= {f"average/{key}": value for key, value in ema.blobs.items()}
    tensors["loss_sum"] = values.pop("loss_sum")
    return Snapshot(tensors, {"iteration": solver.iteration, **values, "solver": _solver_values(solver)})


def restore_snapshot(
    snapshot: Snapshot, net: pl.Net, solver: pl.Solver, ema: ModelEMA | None, state: TrainState
) -> None:
    """Restore the complete state into objects that were built from the same recipe.

    Raises:
        RunError: If the snapshot is of another net or solver.
    """
    tensors, metadata = snapshot.tensors, snapshot.metadata
    recent_losses = metadata["solver"]["losses"]  # for snapshots of version 0.1.0
    try:
        net.load_state_dict(_below("net/", tensors))
        _load_solver(solver, _below("solver/", tensors), metadata["solver"])
        if ema:
            ema.load_state_dict(_below("average/", tensors))
        state.load_state_dict({"recent_losses": recent_losses, **metadata, "loss_sum": tensors["loss_sum"]})
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"{SNAPSHOT}: damaged: found the state of another net or solver ({one_line(error)[:200]}), expected "
            "that of this run; delete it to restart the run from scratch"
        ) from error


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _solver_tensors(solver: pl.Solver) -> dict[str, torch.Tensor]:
    """Return the tensors of the optimizer by "<parameter number>/<name>"."""
    return {
        f"{number}/{name}": value
        for number, state in solver.state_dict()["optimizer"]["state"].items()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def _solver_values(solver: pl.Solver) -> dict[str, Any]:
    """Return the other values: counters, recent losses, and plain values of each parameter."""
    state = solver.state_dict()
    plain = {
        str(number): {name: value for name, value in values.items() if not isinstance(value, torch.Tensor)}
        for number, values in state["optimizer"]["state"].items()
    }
    return {**{key: value for key, value in state.items() if key != "optimizer"}, "plain": plain}


def _load_solver(solver: pl.Solver, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Restore tensors and values into a solver."""
    states: dict[int, dict[str, Any]] = {int(number): dict(state) for number, state in values["plain"].items()}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        states.setdefault(int(number), {})[name] = tensor
    groups = solver.state_dict()["optimizer"]["param_groups"]
    rest = {key: value for key, value in values.items() if key != "plain"}
    solver.load_state_dict({**rest, "optimizer": {"state": states, "param_groups": groups}})
