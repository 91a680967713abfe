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

from fer_lmdb import distributed, recipe, runs, snapshots
from fer_lmdb.curves import Curves
from fer_lmdb.dataset import DataSet
from fer_lmdb.distributed import Team
from fer_lmdb.errors import DataSetError, FerLmdbError
from fer_lmdb.initial import Initial
from fer_lmdb.loading import Loading
from fer_lmdb.recipe import Options
from fer_lmdb.runs import RunFolder
from fer_lmdb.session import Session, versions
from fer_lmdb.signals import stop_on_signal
from prototxt_like.errors import PrototxtLikeError


@dataclass(frozen=True)
class Progress:
    """Where the training stands; handed to `on_progress`."""

    iteration: int
    iterations: int
    epoch: float
    loss: float
    lr: float
    faces_per_second: float
    record: dict[str, Any] | None = None  # an epoch's figures, when one has just ended


@dataclass(frozen=True)
class Result:
    """What a training leaves behind."""

    run: RunFolder
    finished: bool
    iteration: int
    log: list[dict[str, Any]]
    best: dict[str, Any] | None
    initial: Initial | None = None


def train(
    options: Options,
    run: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    loading: Loading | None = None,
) -> Result:
    """Train a net from a data set into a new run folder.

    Where torchrun has started several processes, all of them call this and train together; the first one writes and
    reports.

    Args:
        options: net, data, length, seed and so on.
        run: name below runs/, or a path; None takes the next free name.
        on_progress: called at every display and epoch end.
        loading: how faces come to the training; by default from memory, or streamed where they are many.
    Raises:
        DataSetError: the data set is missing or damaged.
        RunError: the folder holds a run already, or an option makes no sense.
    """
    with distributed.joined(options.device) as team, ExitStack() as holding:
        folder = team.once(lambda: holding.enter_context(_begun(options, run)))
        try:
            return _train(folder, on_progress, loading, team)
        except (FerLmdbError, PrototxtLikeError):  # a refusal; after a full disk, say, --resume can go on
            if team.leads:
                folder.discard_unbegun()
            raise


@contextmanager
def _begun(options: Options, run: str | Path | None) -> Iterator[RunFolder]:
    """Write the folder of a new run, and hold it: of two that begin it at once, the second is refused."""
    data = DataSet.open(options.data)
    plan = recipe.make(options, sum(data.count(split) for split in options.train_on.split("+")), len(data.scheme))
    folder = runs.new_folder(run, plan.name)
    with folder.held():
        folder.check_free()  # now nobody else can begin it any more
        plan.write(folder)
        folder.write_config({**plan.to_dict(), "data": data.facts(), "versions": versions()})
        yield folder


def resume(
    run: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    loading: Loading | None = None,
) -> Result:
    """Go on with a run from its newest snapshot; the newest run where none is named.

    The number of processes may be another one than before.

    Raises:
        RunError: there is no such run, or its snapshot is damaged.
        DataSetError: the data set is not the one that the run began with.
    """
    folder = runs.latest_folder() if run is None else runs.folder_of(run)
    device = recipe.read(folder, folder.read_config()).options.device
    with distributed.joined(device) as team, folder.held() if team.leads else nullcontext():
        return _train(folder, on_progress, loading, team)


def _train(
    folder: RunFolder, on_progress: Callable[[Progress], None] | None, loading: Loading | None, team: Team
) -> Result:
    config = folder.read_config()
    plan = recipe.read(folder, config)
    data = DataSet.open(plan.options.data)
    if data.facts()["sha256"] != config["data"]["sha256"]:
        raise DataSetError(f"{data.folder}: not the data set that {folder.name} began with; start a new run instead")
    session = Session(plan, data, folder, loading=loading or Loading(), team=team)
    snapshots.restore(session)
    return _run(session, on_progress if team.leads else None)


def _run(session: Session, on_progress: Callable[[Progress], None] | None) -> Result:
    folder, team = session.folder, session.team
    curves = Curves(folder.tensorboard if team.leads else None, session.iteration)
    try:
        with stop_on_signal(patient=team.size > 1) as stop:
            for progress in _steps(session, curves, stop):
                if on_progress:
                    on_progress(progress)
    finally:
        curves.close()
        session.batches.close()
    return Result(folder, session.done, session.iteration, session.log, session.best, session.initial)


def _steps(session: Session, curves: Curves, stop: threading.Event) -> Iterator[Progress]:
    """Train to the end, or to the signal that asks to stop; yield at displays and epoch ends."""
    display = session.plan.solver.display or 100
    clock = _Clock(session.plan.iteration_size)
    while not session.done:
        rate = session.solver.lr(session.iteration)
        faces, loss = session.step()
        clock.tick()
        if session.iteration % display == 0:
            value = session.finite(loss)
            curves.training(session.iteration, value, rate, clock.rate())
            yield _progress(session, value, rate, clock)
        epoch = session.plan.epoch_ending_at(session.iteration)
        if epoch is not None:
            if epoch == 1:
                curves.faces(session.iteration, faces)
            record = session.end_epoch(epoch, rate, curves)
            snapshots.write(session, curves)
            yield _progress(session, record["train_loss"], rate, clock, record)
            clock.restart()
        if session.team.any(stop.is_set()):
            session.check_weights()
            snapshots.write(session, curves)
            return


def _progress(
    session: Session, loss: float, rate: float, clock: _Clock, record: dict[str, Any] | None = None
) -> Progress:
    epoch = session.iteration * session.plan.iteration_size / session.plan.epoch_size
    return Progress(session.iteration, session.plan.iterations, epoch, loss, rate, clock.rate(), record)


class _Clock:
    """Measures faces a second since the last restart."""

    def __init__(self, iteration_size: int) -> None:
        self.iteration_size = iteration_size
        self.restart()

    def restart(self) -> None:
        self.start, self.steps = time.monotonic(), 0

    def tick(self) -> None:
        self.steps += 1

    def rate(self) -> float:
        return self.steps * self.iteration_size / max(time.monotonic() - self.start, 1e-9)
