"""A solver's state as tensors and plain facts, the two things that a snapshot file can hold.

`Solver.state_dict` nests tensors below parameter numbers; a .safetensors holds them flat,
and everything else goes through JSON. Parameter groups are left out: the recipe makes them again.
"""

from __future__ import annotations

from typing import Any

import torch

import prototxt_like as pl


def tensors_of(solver: pl.Solver) -> dict[str, torch.Tensor]:
    """Return the optimiser's tensors by "<parameter number>/<name>"."""
    return {
        f"{number}/{name}": value
        for number, state in solver.state_dict()["optimizer"]["state"].items()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def metadata_of(solver: pl.Solver) -> dict[str, Any]:
    """Return everything else: counters, recent losses, and each parameter's plain values."""
    state = solver.state_dict()
    plain = {
        str(number): {name: value for name, value in values.items() if not isinstance(value, torch.Tensor)}
        for number, values in state["optimizer"]["state"].items()
    }
    return {**{key: value for key, value in state.items() if key != "optimizer"}, "plain": plain}


def restore(solver: pl.Solver, tensors: dict[str, torch.Tensor], metadata: dict[str, Any]) -> None:
    """Put both back into a solver that was made from the same recipe."""
    states: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in metadata["plain"].items()}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        states.setdefault(int(number), {})[name] = tensor
    groups = solver.state_dict()["optimizer"]["param_groups"]
    rest = {key: value for key, value in metadata.items() if key != "plain"}
    solver.load_state_dict({**rest, "optimizer": {"state": states, "param_groups": groups}})
