"""Trainer: one training step, validation, the end of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.loaders import InMemoryLoader
from fer_lmdb.data.streaming import StreamingLoader
from fer_lmdb.errors import RunError
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.runtime.seeding import derive_seed
from fer_lmdb.training import checkpoints, early_stopping
from fer_lmdb.training.distributed import DistributedSolver, ProcessGroup
from fer_lmdb.training.ema import ModelEMA
from fer_lmdb.training.first_batch import save_first_batch
from fer_lmdb.training.recipe import Recipe
from fer_lmdb.training.snapshot import take_snapshot
from fer_lmdb.training.state import TrainState
from fer_lmdb.training.targets import BatchTargets
from fer_lmdb.training.tensorboard import TensorBoardLogger
from fer_lmdb.training.trained_model import make_model, training_metadata
from fer_lmdb.training.validator import Validator


@dataclass
class Trainer:
    """Everything that a training run consists of; `build_trainer` makes it.

    Attributes:
        recipe: Net, solver and options.
        data: Data set.
        run: Run folder.
        net: TRAIN net on the device.
        solver: Solver; counts the iterations.
        loader: Batches of stored faces and their targets.
        transform: Augmentation on the device.
        targets: Turns targets into net inputs.
        validator: Validation split; None if it is trained on or does not exist.
        ema: Moving average of the weights, or None.
        blobs: Weights of the deploy net by "<layer>/<i>"; layers of the TRAIN net only are not among them.
        mean: (C, H, W) mean image, or None if the net subtracts none.
        dtype: Compute dtype.
        device: Torch device.
        rank_seed: Seed of this process.
        state: State that a snapshot saves.
        process_group: Processes that train together.
    """

    recipe: Recipe
    data: DataSet
    run: RunFolder
    net: pl.Net
    solver: DistributedSolver
    loader: InMemoryLoader | StreamingLoader
    transform: pl.Transform
    targets: BatchTargets
    validator: Validator | None
    ema: ModelEMA | None
    blobs: Mapping[str, Tensor]
    mean: np.ndarray | None
    dtype: torch.dtype
    device: torch.device
    rank_seed: int
    state: TrainState
    process_group: ProcessGroup

    @property
    def iteration(self) -> int:
        """Number of iterations done."""
        return self.solver.iteration

    @property
    def log(self) -> list[dict[str, Any]]:
        """One record per epoch."""
        return self.state.log

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """Weights of the model: the moving average if there is one."""
        return self.ema.blobs if self.ema else self.blobs

    @property
    def done(self) -> bool:
        """Whether training is complete, or stopped early."""
        solver = self.recipe.solver
        return self.iteration >= self.recipe.iterations or early_stopping.should_stop(solver, self.log)

    def step(self) -> tuple[Tensor, Tensor]:
        """Run one iteration of iter_size batches.

        Returns:
            Transformed faces of the last batch, and the mean loss over all processes.
        """
        size, before = self.recipe.solver.iter_size, self.iteration
        losses = []
        for number in range(before * size, (before + 1) * size):
            faces, loss = self._forward(number)
            if self.solver.step(loss) and self.ema:
                self.ema.update(self.blobs, before)
            losses.append(loss.detach())
        mean = losses[0] if size == 1 else torch.stack(losses).mean()
        self.process_group.all_reduce_mean([mean])
        self.state.add_loss(mean)
        if checkpoints.is_checkpoint_due(self.recipe.solver, self.iteration):
            self._save_checkpoint()
        return faces, mean

    def _forward(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the transformed faces of a batch and their loss; all random numbers depend on its number."""
        images, labels = self.loader.at(number)
        generator = torch.Generator(self.device).manual_seed(derive_seed(self.rank_seed, number, "augment"))
        torch.manual_seed(derive_seed(self.rank_seed, number, "net"))  # dropout uses the global generator
        faces = self.transform(images, generator=generator).contiguous(memory_format=torch.channels_last)
        faces, *targets = self.targets(faces, labels, number)
        if number == 0 and self.process_group.is_main_process:
            save_first_batch(self.run, faces, targets[0])
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            outputs = self.net(**dict(zip(self.net.inputs, (faces, *targets), strict=True)))
            loss = self.net.total_loss(outputs)
        return faces, loss

    def check_finite(self, loss: Tensor | float, what: str = "the loss") -> float:
        """Return a loss as a number.

        Raises:
            RunError: If it is NaN or infinite.
        """
        value = float(loss)
        if not np.isfinite(value):
            raise RunError(
                f"{what} became {value} at iteration {self.iteration}; "
                f"try a lower learning rate, e.g. --base-lr {self.recipe.solver.base_lr / 10:g}"
            )
        return value

    def check_weights(self) -> None:
        """Check the weights before they replace a model or a snapshot.

        Raises:
            RunError: If a weight is NaN or infinite.
        """
        for name, blob in self.blobs.items():
            self.check_finite(blob.detach().sum(dtype=torch.float64), f"the sum of blob {name}")

    def end_epoch(self, epoch: int, lr: float, logger: TensorBoardLogger) -> dict[str, Any]:
        """Validate, save the best model and return the log record of the epoch."""
        record: dict[str, Any] = {"epoch": epoch, "iteration": self.iteration, "lr": lr}
        record["train_loss"] = self.check_finite(self.state.epoch_loss)
        self.check_weights()
        self.state.reset_epoch()
        record |= self.validate(logger)
        self.log.append(record)
        if self.recipe.solver.lr_policy == "plateau":
            self.solver.set_lr_reductions(early_stopping.count_lr_reductions(self.recipe.solver, self.log))
        if self._is_best(record):
            self.state.best = record
            if self.process_group.is_main_process:
                selected = "highest validation accuracy" if self.validator else "last epoch"
                build_model(self, selected).save(self.run.best)
        return record

    def validate(self, logger: TensorBoardLogger) -> dict[str, float]:
        """Return validation loss, accuracy and calibration error; empty without a validation split."""
        if self.validator is None:
            return {}
        metrics = self.validator.validate(self.weights)
        loss = self.check_finite(metrics.loss, "the validation loss")
        logger.log_validation(self.iteration, loss, metrics.accuracy)
        if self.iteration == self.recipe.iterations:
            logger.log_confusion(self.iteration, metrics.confusion, self.data.scheme.classes)
        return {"val_loss": loss, "val_accuracy": metrics.accuracy, "val_ece": metrics.ece}

    def _is_best(self, record: dict[str, Any]) -> bool:
        """Return whether an epoch is the best on validation; without validation the last one is."""
        if self.state.best is None or "val_accuracy" not in record:
            return True
        return bool(record["val_accuracy"] > self.state.best["val_accuracy"])

    def _save_checkpoint(self) -> None:
        self.check_weights()
        if self.process_group.is_main_process:
            model = build_model(self, f"checkpoint after iteration {self.iteration}")
            checkpoints.save_checkpoint(model, self.run, self.iteration)

    def save_snapshot(self, logger: TensorBoardLogger) -> None:
        """Save the newest model, the snapshot and the log; TensorBoard events are flushed first.

        Only the main process writes; all processes hold the same state.
        """
        if not self.process_group.is_main_process:
            return
        logger.flush()
        build_model(self, "newest").save(self.run.last)
        take_snapshot(self.net, self.solver, self.ema, self.state).write(self.run)
        self.run.write_log(self.log)


def build_model(trainer: Trainer, selected: str) -> Model:
    """Return the current weights as a model.

    Args:
        trainer: Trainer; its moving average is used if there is one.
        selected: Why this model is saved, e.g. "last epoch".
    """
    ended = bool(trainer.log) and trainer.log[-1]["iteration"] == trainer.iteration
    record = trainer.log[-1] if ended else {"iteration": trainer.iteration}
    metadata = training_metadata(trainer.recipe, trainer.data, trainer.dtype, trainer.state.init_report)
    metadata |= {"selected": selected, "epoch": record}
    return make_model(trainer.recipe, trainer.data, trainer.mean, trainer.weights, metadata)
