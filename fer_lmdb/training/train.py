"""The training loop, readable from top to bottom.

    data set + recipe -> batches -> transform -> net -> loss -> solver
                                   every epoch: validation, best model, snapshot

A step depends only on the weights, the solver's state and (seed, iteration). That is why
a run that goes on from a snapshot ends with the weights of one that was never interrupted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.data.dataset import DataSet, check_same_data
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.errors import ERRORS
from fer_lmdb.models import run_folder
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.runtime.signals import stop_on_signal
from fer_lmdb.training import distributed, recipe, snapshot
from fer_lmdb.training.distributed import ProcessGroup
from fer_lmdb.training.init_weights import InitReport
from fer_lmdb.training.recipe import TrainOptions
from fer_lmdb.training.tensorboard import TensorBoardLogger
from fer_lmdb.training.trainer import Trainer, versions


@dataclass(frozen=True)
class TrainProgress:
    """Where the training stands; handed to `on_progress`."""

    iteration: int
    iterations: int
    epoch: float
    loss: float
    lr: float
    faces_per_second: float
    record: dict[str, Any] | None = None  # an epoch's figures, when one has just ended


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind."""

    run: RunFolder
    finished: bool
    iteration: int
    log: list[dict[str, Any]]
    best: dict[str, Any] | None
    initial: InitReport | None = None


def train(
    options: TrainOptions,
    run: str | Path | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    loader_options: LoaderOptions | None = None,
) -> TrainResult:
    """Train a net from a data set into a new run folder.

    Where torchrun has started several processes, all of them call this and train together; the first one writes and
    reports.

    Args:
        options: net, data, length, seed and so on.
        run: name below runs/, or a path; None takes the next free name.
        on_progress: called at every display and epoch end.
        loader_options: how faces come to the training; by default from memory, or streamed where they are many.
    Raises:
        DataSetError: the data set is missing or damaged.
        RunError: the folder holds a run already, or an option makes no sense.
    """
    with distributed.init_process_group(options.device) as process_group, ExitStack() as holding:
        folder = process_group.broadcast_from_main(lambda: holding.enter_context(_create_run(options, run)))
        try:
            return _train(folder, on_progress, loader_options, process_group)
        except ERRORS:  # a refusal; after a full disk, say, --resume can go on
            if process_group.is_main_process:
                folder.remove_if_not_started()
            raise


@contextmanager
def _create_run(options: TrainOptions, run: str | Path | None) -> Iterator[RunFolder]:
    """Write the folder of a new run, and hold it: of two that begin it at once, the second is refused."""
    data = DataSet.open(options.data)
    plan = recipe.build_recipe(options, sum(data.count(split) for split in options.splits), len(data.scheme))
    folder = run_folder.create_run(run, plan.name)
    with folder.lock():
        folder.check_unused()  # now nobody else can begin it any more
        plan.write(folder)
        folder.write_config({**plan.to_dict(), "data": data.fingerprint(), "versions": versions()})
        yield folder


def resume(
    run: str | Path | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    loader_options: LoaderOptions | None = None,
) -> TrainResult:
    """Go on with a run from its newest snapshot; the newest run where none is named.

    The number of processes may be another one than before.

    Raises:
        RunError: there is no such run, or its snapshot is damaged.
        DataSetError: the data set is not the one that the run began with.
    """
    folder = run_folder.latest_run() if run is None else run_folder.resolve_run(run)
    device = recipe.load_recipe(folder, folder.read_config()).options.device
    with (
        distributed.init_process_group(device) as process_group,
        folder.lock() if process_group.is_main_process else nullcontext(),
    ):
        return _train(folder, on_progress, loader_options, process_group)


def _train(
    folder: RunFolder,
    on_progress: Callable[[TrainProgress], None] | None,
    loader_options: LoaderOptions | None,
    process_group: ProcessGroup,
) -> TrainResult:
    config = folder.read_config()
    plan = recipe.load_recipe(folder, config)
    data = DataSet.open(plan.options.data)
    check_same_data(data, config["data"], "start a new run")
    trainer = Trainer(plan, data, folder, loader_options=loader_options or LoaderOptions(), process_group=process_group)
    snapshot.restore_snapshot(trainer)
    return _fit(trainer, on_progress if process_group.is_main_process else None)


def _fit(trainer: Trainer, on_progress: Callable[[TrainProgress], None] | None) -> TrainResult:
    folder, process_group = trainer.folder, trainer.process_group
    logger = TensorBoardLogger(folder.tensorboard if process_group.is_main_process else None, trainer.iteration)
    try:
        with stop_on_signal(patient=process_group.world_size > 1) as stop:
            for progress in _steps(trainer, logger, stop):
                if on_progress:
                    on_progress(progress)
    finally:
        logger.close()
        trainer.batches.close()
    return TrainResult(folder, trainer.done, trainer.iteration, trainer.log, trainer.best, trainer.initial)


def _steps(trainer: Trainer, logger: TensorBoardLogger, stop: threading.Event) -> Iterator[TrainProgress]:
    """Train to the end, or to the signal that asks to stop; yield at displays and epoch ends."""
    display = trainer.plan.solver.display or 100
    clock = _ThroughputMeter(trainer.plan.samples_per_update)
    while not trainer.done:
        rate = trainer.solver.lr(trainer.iteration)
        faces, loss = trainer.step()
        clock.tick()
        if trainer.iteration % display == 0:
            value = trainer.check_finite(loss)
            logger.log_training(trainer.iteration, value, rate, clock.throughput())
            yield _progress(trainer, value, rate, clock)
        epoch = trainer.plan.epoch_ending_at(trainer.iteration)
        if epoch is not None:
            if epoch == 1:
                logger.log_faces(trainer.iteration, faces)
            record = trainer.end_epoch(epoch, rate, logger)
            snapshot.write_snapshot(trainer, logger)
            yield _progress(trainer, record["train_loss"], rate, clock, record)
            clock.restart()
        if trainer.process_group.any_rank(stop.is_set()):
            trainer.check_weights()
            snapshot.write_snapshot(trainer, logger)
            return


def _progress(
    trainer: Trainer, loss: float, rate: float, clock: _ThroughputMeter, record: dict[str, Any] | None = None
) -> TrainProgress:
    epoch = trainer.iteration * trainer.plan.samples_per_update / trainer.plan.epoch_size
    return TrainProgress(trainer.iteration, trainer.plan.iterations, epoch, loss, rate, clock.throughput(), record)


class _ThroughputMeter:
    """Measures faces a second since the last restart."""

    def __init__(self, samples_per_update: int) -> None:
        self.samples_per_update = samples_per_update
        self.restart()

    def restart(self) -> None:
        self.start, self.steps = time.monotonic(), 0

    def tick(self) -> None:
        self.steps += 1

    def throughput(self) -> float:
        return self.steps * self.samples_per_update / max(time.monotonic() - self.start, 1e-9)
