"""Callbacks of a training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_lmdb.models.run_folder import RunFolder
    from fer_lmdb.training.result import TrainResult


@dataclass(frozen=True)
class TrainProgress:
    """Progress of a training run.

    Attributes:
        iteration: Iterations done.
        iterations: Iterations of the complete run.
        epoch: Epochs done, with fraction.
        loss: Training loss: smoothed over `average_loss` iterations, or the mean of an epoch at its end.
        lr: Learning rate.
        faces_per_second: Throughput in this epoch.
        record: Log record of the epoch that just ended, else None. Its keys are epoch, iteration, lr, train_loss, and
            with a validation split val_loss and val_accuracy.
    """

    iteration: int
    iterations: int
    epoch: float
    loss: float
    lr: float
    faces_per_second: float
    record: dict[str, Any] | None = None


class Callback:
    """Base class of callbacks; override the methods you need.

    With several processes, callbacks run in the main process only. An exception ends the run; the newest snapshot
    remains, and `resume` continues from it.
    """

    def on_train_start(self, run: RunFolder) -> None:
        """Run before the first iteration, and when a run is resumed."""

    def on_progress(self, progress: TrainProgress) -> None:
        """Run every `display` iterations and at the end of every epoch."""

    def on_epoch_end(self, progress: TrainProgress) -> None:
        """Run at the end of every epoch, after its snapshot was saved; `progress.record` holds the metrics."""

    def on_train_end(self, result: TrainResult) -> None:
        """Run after the last iteration, or after a stop request."""


class ProgressCallback(Callback):
    """Call a function on every progress report.

    Args:
        function: Called with each `TrainProgress`.
    """

    def __init__(self, function: Callable[[TrainProgress], object]) -> None:
        self.function = function

    def on_progress(self, progress: TrainProgress) -> None:
        """Call the function."""
        self.function(progress)


class CallbackList(Callback):
    """Several callbacks as one, in order.

    Args:
        callbacks: Callbacks.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = tuple(callbacks)

    def on_train_start(self, run: RunFolder) -> None:
        """Forward to all callbacks."""
        for callback in self.callbacks:
            callback.on_train_start(run)

    def on_progress(self, progress: TrainProgress) -> None:
        """Forward to all callbacks."""
        for callback in self.callbacks:
            callback.on_progress(progress)
            if progress.record is not None:
                callback.on_epoch_end(progress)

    def on_train_end(self, result: TrainResult) -> None:
        """Forward to all callbacks."""
        for callback in self.callbacks:
            callback.on_train_end(result)
