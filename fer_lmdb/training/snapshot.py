"""Writing a training in progress into its run folder, and taking it up again from there."""

from __future__ import annotations

import torch

from fer_lmdb.models.run_folder import Snapshot
from fer_lmdb.training import solver_state
from fer_lmdb.training.init_weights import InitReport
from fer_lmdb.training.tensorboard import TensorBoardLogger
from fer_lmdb.training.trainer import Trainer


def write_snapshot(trainer: Trainer, logger: TensorBoardLogger) -> None:
    """Write everything that going on needs; the curves up to here are on the disk first.

    Of several processes the first one writes: all hold the same.
    """
    if not trainer.process_group.is_main_process:
        return
    logger.flush()
    trainer.model("newest").save(trainer.folder.last)
    tensors = {f"net/{key}": value for key, value in trainer.net.state_dict().items()}
    tensors |= {f"solver/{key}": value for key, value in solver_state.tensors_of(trainer.solver).items()}
    if trainer.ema:
        tensors |= {f"average/{key}": value for key, value in trainer.ema.blobs.items()}
    tensors["loss_sum"] = trainer.loss_sum
    metadata = {
        "iteration": trainer.iteration,
        "loss_count": trainer.loss_count,
        "log": trainer.log,
        "best": trainer.best,
        "initial": trainer.initial.to_dict() if trainer.initial else None,
        "solver": solver_state.metadata_of(trainer.solver),
    }
    trainer.folder.write_snapshot(Snapshot(tensors, metadata))
    trainer.folder.write_log(trainer.log)


def restore_snapshot(trainer: Trainer) -> None:
    """Take up the newest snapshot, if there is one."""
    snapshot = trainer.folder.read_snapshot()
    if snapshot is None:
        return
    tensors, metadata = snapshot.tensors, snapshot.metadata
    trainer.net.load_state_dict(_below("net/", tensors))
    solver_state.restore(trainer.solver, _below("solver/", tensors), metadata["solver"])
    if trainer.ema:
        trainer.ema.load_state_dict(_below("average/", tensors))
    trainer.initial = InitReport.from_dict(metadata["initial"]) if metadata.get("initial") else None
    trainer.loss_sum.copy_(tensors["loss_sum"])
    trainer.loss_count = metadata["loss_count"]
    trainer.iteration, trainer.log, trainer.best = metadata["iteration"], metadata["log"], metadata["best"]
    if trainer.process_group.is_main_process:
        trainer.folder.write_log(trainer.log)  # a kill may have come between the snapshot and its log


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
