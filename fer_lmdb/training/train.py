"""Entry points of training, and the training loop.

    data set + recipe -> batches -> transform -> net -> loss -> solver
                                   every epoch: validation, best model, snapshot

A step depends on the weights, the solver's state and (seed, iteration) only. Therefore a resumed run ends with the
same weights as an uninterrupted one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from fer_lmdb.data.dataset import DataSet, check_same_data
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.data.net_sources import find_data
from fer_lmdb.errors import ERRORS
from fer_lmdb.labels import recorded_labels
from fer_lmdb.models.run_folder import RunFolder, create_run, latest_run, resolve_run
from fer_lmdb.runtime.device import resolve_device, resolve_dtype
from fer_lmdb.runtime.signals import stop_on_signal
from fer_lmdb.training.builder import build_trainer
from fer_lmdb.training.callbacks import Callback, CallbackList, TrainProgress
from fer_lmdb.training.deploy_input import fit_deploy
from fer_lmdb.training.distributed import ProcessGroup, init_process_group
from fer_lmdb.training.options import TrainOptions
from fer_lmdb.training.recipe import Recipe, build_recipe, load_recipe
from fer_lmdb.training.recipe_checks import validate_recipe
from fer_lmdb.training.result import TrainResult
from fer_lmdb.training.tensorboard import TensorBoardLogger
from fer_lmdb.training.trained_model import versions
from fer_lmdb.training.trainer import Trainer


def train(
    options: TrainOptions | None = None,
    run: str | Path | None = None,
    *,
    loaders: LoaderOptions | None = None,
    callbacks: Sequence[Callback] = (),
    **overrides: Any,
) -> TrainResult:
    """Train a net on a data set, in a new run folder.

    With torchrun, every process calls this function; the main process writes the run folder and calls the callbacks.

    Args:
        options: Training options; None uses the defaults.
        run: Name below runs/, or a path; None uses the net's name and the next free number.
        loaders: Options of data loading; by default data up to 2 GiB is read into memory.
        callbacks: Callbacks.
        overrides: Fields of `TrainOptions` that replace those of options, e.g. model="fer_mini", epochs=30.
    Raises:
        DataSetError: If the data set is missing or damaged.
        RunError: If the run folder exists, an option is invalid, or the loss is NaN or infinite.
        ModelError: If a model for --init or --teacher is missing or damaged.
        TypeError: If an override is not a field of `TrainOptions`.
    """
    options = replace(options or TrainOptions(), **overrides)
    with init_process_group(options.device) as group, ExitStack() as stack:
        folder, recipe, data = group.broadcast_from_main(
            lambda: stack.enter_context(_start_run(options, run, loaders, group))
        )
        try:
            return _fit(build_trainer(recipe, data, folder, loaders, group), callbacks)
        except ERRORS:  # after other errors, e.g. a full disk, the run can be resumed
            if group.is_main_process:
                folder.remove_if_not_started()
            raise


@contextmanager
def _start_run(
    options: TrainOptions, run: str | Path | None, loaders: LoaderOptions | None, group: ProcessGroup
) -> Iterator[tuple[RunFolder, Recipe, DataSet]]:
    """Validate a run, write its folder and hold its lock."""
    options = replace(options, data=options.data or find_data(options.model))
    data = DataSet.open(options.data or "", options.labels)
    recipe = build_recipe(options, sum(data.count(split) for split in options.splits), len(data.scheme))
    recipe = fit_deploy(recipe, data)
    validate_recipe(recipe, data, loaders, group)
    recipe = recipe.with_precision(resolve_dtype(options.precision, resolve_device(group.device(options.device))))
    folder = create_run(run, recipe.name)
    with folder.lock():
        folder.check_unused()  # again, since another process may have started the run before the lock was held
        recipe.write(folder)
        folder.write_config(
            {**recipe.to_dict(), "data": data.fingerprint(), "versions": versions(), **labels_record(data)}
        )
        yield folder, recipe, data


def labels_record(data: DataSet) -> dict[str, Any]:
    """Return the entry of run.json with the classes of a data set without a manifest; empty for any other."""
    if "notes" not in data.manifest:
        return {}
    return {"labels": {"scheme": data.scheme.name, "classes": list(data.scheme.classes)}}


def resume(
    run: str | Path | None = None, *, loaders: LoaderOptions | None = None, callbacks: Sequence[Callback] = ()
) -> TrainResult:
    """Resume a run from its newest snapshot.

    The number of processes may differ from the previous one.

    Args:
        run: Name below runs/, or a path; None resumes the newest run.
        loaders: Options of data loading.
        callbacks: Callbacks.
    Raises:
        RunError: If the run is missing, or its snapshot is damaged.
        DataSetError: If the data set is not the one that the run was started with.
    """
    folder = latest_run() if run is None else resolve_run(run)
    config = folder.read_config()
    recipe = load_recipe(folder, config)
    with (
        init_process_group(recipe.options.device) as group,
        folder.lock() if group.is_main_process else nullcontext(),
    ):
        data = DataSet.open(recipe.options.data or "", recorded_labels(config))
        check_same_data(data, config.get("data", {}), "start a new run instead")
        trainer = build_trainer(recipe, data, folder, loaders, group)
        if group.is_main_process and folder.snapshot.exists():
            folder.write_log(trainer.log)  # the process may have been killed between snapshot and log
        return _fit(trainer, callbacks)


def _fit(trainer: Trainer, callbacks: Sequence[Callback]) -> TrainResult:
    """Train to the end, or to a stop request."""
    run, group = trainer.run, trainer.process_group
    callback = CallbackList(callbacks if group.is_main_process else ())
    logger = TensorBoardLogger(run.tensorboard if group.is_main_process else None, trainer.iteration)
    try:
        with stop_on_signal(patient=group.world_size > 1) as stop:
            callback.on_train_start(run)
            for progress in _iterate(trainer, logger, stop):
                callback.on_progress(progress)
    finally:
        logger.close()
        trainer.loader.close()
    state = trainer.state
    result = TrainResult(run, trainer.done, trainer.iteration, state.log, state.best, state.init_report)
    callback.on_train_end(result)
    return result


def _iterate(trainer: Trainer, logger: TensorBoardLogger, stop: threading.Event) -> Iterator[TrainProgress]:
    """Train; yield the progress every `display` iterations and at the end of every epoch."""
    recipe = trainer.recipe
    display = recipe.solver.display or 100
    meter = _ThroughputMeter(recipe.samples_per_update)
    while not trainer.done:
        lr = trainer.solver.lr()
        faces, _ = trainer.step()
        meter.tick()
        iteration, epoch = trainer.iteration, recipe.epoch_ending_at(trainer.iteration)
        is_display = iteration % display == 0
        if is_display or epoch is not None or iteration - 1 in recipe.lr_drops:
            loss = trainer.check_finite(trainer.state.smoothed_loss)
            logger.log_training(iteration, loss, lr, meter.throughput())
            if is_display:
                yield _progress(trainer, loss, lr, meter)
        if epoch is not None:
            if epoch == 1:
                logger.log_faces(iteration, faces)
            record = trainer.end_epoch(epoch, lr, logger)
            trainer.save_snapshot(logger)
            yield _progress(trainer, record["train_loss"], lr, meter, record)
            meter.restart()
        if trainer.process_group.any_rank(stop.is_set()):
            trainer.check_weights()
            trainer.save_snapshot(logger)
            return


def _progress(
    trainer: Trainer, loss: float, lr: float, meter: _ThroughputMeter, record: dict[str, Any] | None = None
) -> TrainProgress:
    recipe = trainer.recipe
    epoch = trainer.iteration * recipe.samples_per_update / recipe.epoch_size
    return TrainProgress(trainer.iteration, recipe.iterations, epoch, loss, lr, meter.throughput(), record)


class _ThroughputMeter:
    """Faces per second since the last restart."""

    def __init__(self, samples_per_update: int) -> None:
        self.samples_per_update = samples_per_update
        self.restart()

    def restart(self) -> None:
        self.start, self.steps = time.monotonic(), 0

    def tick(self) -> None:
        self.steps += 1

    def throughput(self) -> float:
        return self.steps * self.samples_per_update / max(time.monotonic() - self.start, 1e-9)
