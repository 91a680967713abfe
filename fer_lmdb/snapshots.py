"""Writing a training in progress into its run folder, and taking it up again from there."""

from __future__ import annotations

import torch

from fer_lmdb import solver_state
from fer_lmdb.curves import Curves
from fer_lmdb.initial import Initial
from fer_lmdb.runs import Snapshot
from fer_lmdb.session import Session


def write(session: Session, curves: Curves) -> None:
    """Write everything that going on needs; the curves up to here are on the disk first.

    Of several processes the first one writes: all hold the same.
    """
    if not session.team.leads:
        return
    curves.flush()
    session.model("newest").save(session.folder.last)
    tensors = {f"net/{key}": value for key, value in session.net.state_dict().items()}
    tensors |= {f"solver/{key}": value for key, value in solver_state.tensors_of(session.solver).items()}
    if session.average:
        tensors |= {f"average/{key}": value for key, value in session.average.blobs.items()}
    tensors["loss_sum"] = session.loss_sum
    facts = {
        "iteration": session.iteration,
        "loss_count": session.loss_count,
        "log": session.log,
        "best": session.best,
        "initial": session.initial.to_dict() if session.initial else None,
        "solver": solver_state.facts_of(session.solver),
    }
    session.folder.write_snapshot(Snapshot(tensors, facts))
    session.folder.write_log(session.log)


def restore(session: Session) -> None:
    """Take up the newest snapshot, if there is one."""
    snapshot = session.folder.read_snapshot()
    if snapshot is None:
        return
    tensors, facts = snapshot.tensors, snapshot.facts
    session.net.load_state_dict(_below("net/", tensors))
    solver_state.restore(session.solver, _below("solver/", tensors), facts["solver"])
    if session.average:
        session.average.restore(_below("average/", tensors))
    session.initial = Initial(**facts["initial"]) if facts.get("initial") else None
    session.loss_sum.copy_(tensors["loss_sum"])
    session.loss_count = facts["loss_count"]
    session.iteration, session.log, session.best = facts["iteration"], facts["log"], facts["best"]
    if session.team.leads:
        session.folder.write_log(session.log)  # a kill may have come between the snapshot and its log


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
