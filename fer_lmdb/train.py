"""The training loop, readable from top to bottom.

    data set + recipe -> batches -> transform -> net -> loss -> solver
                                   every epoch: validation, best model, snapshot

A step depends only on the weights, the solver's state and (seed, iteration). That is why
a run that goes on from a snapshot ends with the weights of one that was never interrupted.
"""

from __future__ import annotations

import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import prototxt_like as pl
from fer_lmdb import __version__, patience, recipe, runs, solver_state
from fer_lmdb.average import Average
from fer_lmdb.batches import Batches, mixed_seed
from fer_lmdb.curves import Curves
from fer_lmdb.dataset import DataSet
from fer_lmdb.errors import DataSetError, RunError
from fer_lmdb.initial import Initial, load_into
from fer_lmdb.models import Model
from fer_lmdb.precision import choose_device, choose_precision
from fer_lmdb.recipe import Options, Recipe
from fer_lmdb.runs import RunFolder, Snapshot
from fer_lmdb.targets import Targets, soften_loss


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
    options: Options, run: str | Path | None = None, on_progress: Callable[[Progress], None] | None = None
) -> Result:
    """Train a net from a data set into a new run folder.

    Args:
        options: net, data, length, seed and so on.
        run: name below runs/, or a path; None takes the next free name.
        on_progress: called at every display and epoch end.
    Raises:
        DataSetError: the data set is missing or damaged.
        RunError: the folder holds a run already, or an option makes no sense.
    """
    data = DataSet.open(options.data)
    plan = recipe.make(options, sum(data.count(split) for split in options.train_on.split("+")), len(data.scheme))
    folder = runs.new_folder(run, plan.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    folder.write_config({**plan.to_dict(), "data": data.facts(), "versions": versions()})
    return _run(folder, plan, data, on_progress)


def resume(run: str | Path | None = None, on_progress: Callable[[Progress], None] | None = None) -> Result:
    """Go on with a run from its newest snapshot; the newest run where none is named.

    Raises:
        RunError: there is no such run, or its snapshot is damaged.
        DataSetError: the data set is not the one that the run began with.
    """
    folder = runs.latest_folder() if run is None else runs.folder_of(run)
    config = folder.read_config()
    plan = recipe.read(folder, config)
    data = DataSet.open(plan.options.data)
    if data.facts()["sha256"] != config["data"]["sha256"]:
        raise DataSetError(f"{data.folder}: not the data set that {folder.name} began with; start a new run instead")
    return _run(folder, plan, data, on_progress)


def versions() -> dict[str, str]:
    """Return what the figures of a run may depend on."""
    return {
        "fer-lmdb": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def _run(folder: RunFolder, plan: Recipe, data: DataSet, on_progress: Callable[[Progress], None] | None) -> Result:
    session = Session(plan, data, folder)
    session.restore()
    curves = Curves(folder.tensorboard, session.iteration)
    try:
        with _stop_on_signal() as stop:
            for progress in session.steps(curves, stop):
                if on_progress:
                    on_progress(progress)
    finally:
        curves.close()
    return Result(folder, session.done, session.iteration, session.log, session.best, session.initial)


@dataclass
class Session:
    """A training in progress: the net, its solver, the data, and what is known so far."""

    plan: Recipe
    data: DataSet
    folder: RunFolder
    iteration: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        options, plan = self.plan.options, self.plan
        self.device = choose_device(options.device)
        self.dtype = choose_precision(options.precision, self.device)
        mean = self.data.mean()
        torch.manual_seed(mixed_seed(options.seed, 0, "fill"))
        self.targets = Targets(plan.solver, len(self.data.scheme), options.seed)
        self.net = self._build_net(mean.shape)
        # A run that goes on has its weights in the snapshot; the model that it began with may be gone.
        begins = options.init is not None and not self.folder.snapshot.exists()
        self.initial = load_into(self.net, str(options.init)) if begins else None
        self.net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # In float32 every rounding follows Caffe; elsewhere the fused update saves half of its memory traffic.
        self.solver = pl.Solver(plan.solver, self.net, fused=self.dtype != torch.float32)
        self.transform_parameter = recipe.data_layer(plan.net, "TRAIN").transform_param
        # A net without a mean_file, as those that normalise each picture by itself, sees no mean.
        self.mean = mean if self.transform_parameter.mean_file else None
        given = None if self.mean is None else torch.from_numpy(self.mean)
        self.transform = pl.Transform(self.transform_parameter, "TRAIN", mean=given)
        self.batches = self._read_batches(options.train_on.split("+"))
        self.validation = self._read_validation()
        patience.check(plan.solver, has_validation=self.validation is not None)
        self.average = Average(self.blobs(), plan.solver.ema_decay) if plan.solver.ema_decay else None
        self.classifier = self.model().classifier(self.device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.loss_count = 0

    def _build_net(self, image_shape: tuple[int, int, int]) -> pl.Net:
        shapes = recipe.input_shapes(self.plan.net, "TRAIN", image_shape)
        net = self.plan.net
        if self.targets.soft:
            net = soften_loss(net)
            label = list(shapes)[1]
            shapes[label] = (self.plan.batch_size, len(self.data.scheme))
        return pl.Net(net, phase="TRAIN", input_shapes=shapes).train()

    def _read_batches(self, splits: list[str]) -> Batches:
        parts = [self.data.read(split) for split in splits]
        images = torch.from_numpy(np.concatenate([part.images for part in parts])).to(self.device)
        labels = torch.from_numpy(np.concatenate([part.labels for part in parts])).to(self.device)
        return Batches(images, labels, self.plan.batch_size, self.plan.options.seed)

    def _read_validation(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return validation faces and labels; None where they are trained on or do not exist."""
        if "val" in self.plan.options.train_on or not self.data.count("val"):
            return None
        split = self.data.read("val")
        return split.images, split.labels

    def steps(self, curves: Curves, stop: threading.Event) -> Iterator[Progress]:
        """Train to the end, or to the signal that asks to stop; yield at displays and epoch ends."""
        display = self.plan.solver.display or 100
        clock = _Clock(self.plan.batch_size)
        while not self.done:
            rate = self.solver.lr(self.iteration)
            faces, loss = self.step()
            clock.tick()
            if self.iteration % display == 0:
                value = self._finite(loss)
                curves.training(self.iteration, value, rate, clock.rate())
                yield self._progress(value, rate, clock)
            epoch = self.plan.epoch_ending_at(self.iteration)
            if epoch is not None:
                if epoch == 1:
                    curves.faces(self.iteration, faces)
                record = self.end_epoch(epoch, rate, curves)
                yield self._progress(record["train_loss"], rate, clock, record)
                clock.restart()
            if stop.is_set():
                self.write_snapshot(curves)
                return

    @property
    def done(self) -> bool:
        """Tell whether the training has come to its end, planned or early."""
        return self.iteration >= self.plan.iterations or patience.is_over(self.plan.solver, self.log)

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Do one iteration; return the transformed faces and the loss."""
        seed = self.plan.options.seed
        images, labels = self.batches.at(self.iteration)
        generator = torch.Generator(self.device).manual_seed(mixed_seed(seed, self.iteration, "augment"))
        torch.manual_seed(mixed_seed(seed, self.iteration, "net"))  # dropout draws from the global generator
        faces = self.transform(images, generator=generator).contiguous(memory_format=torch.channels_last)
        faces, targets = self.targets(faces, labels, self.iteration)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            outputs = self.net(**dict(zip(self.net.inputs, (faces, targets), strict=True)))
            loss = self.net.total_loss(outputs)
        if self.solver.step(loss) and self.average:
            self.average.update(self.blobs())
        self.iteration += 1
        self.loss_sum += loss.detach()
        self.loss_count += 1
        return faces, loss.detach()

    def _finite(self, loss: torch.Tensor) -> float:
        value = float(loss)
        if not np.isfinite(value):
            raise RunError(
                f"the loss became {value} at iteration {self.iteration}; "
                f"try a lower rate, e.g. --base-lr {self.plan.solver.base_lr / 10:g}"
            )
        return value

    def _progress(self, loss: float, rate: float, clock: _Clock, record: dict[str, Any] | None = None) -> Progress:
        epoch = self.iteration * self.plan.batch_size / self.plan.epoch_size
        return Progress(self.iteration, self.plan.iterations, epoch, loss, rate, clock.rate(), record)

    def end_epoch(self, epoch: int, rate: float, curves: Curves) -> dict[str, Any]:
        """Validate, keep the best model, write a snapshot; return the epoch's line of the log."""
        record: dict[str, Any] = {"epoch": epoch, "iteration": self.iteration, "lr": rate}
        record["train_loss"] = self._finite(self.loss_sum / max(self.loss_count, 1))
        self.loss_sum.zero_()
        self.loss_count = 0
        if self.validation is not None:
            record |= self._validate(curves)
        self.log.append(record)
        if self.plan.solver.lr_policy == "plateau":
            self.solver.plateaus = patience.plateaus(self.plan.solver, self.log)
        if self._is_best(record):
            self.best = record
            self.model().save(self.folder.best)
        self.write_snapshot(curves)
        return record

    def _validate(self, curves: Curves) -> dict[str, float]:
        assert self.validation is not None
        images, labels = self.validation
        self.classifier.load_weights(self.weights())
        probabilities = self.classifier.probabilities(images)
        chosen = probabilities[np.arange(len(labels)), labels]
        loss = float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())
        accuracy = float((probabilities.argmax(axis=1) == labels).mean())
        curves.validation(self.iteration, loss, accuracy)
        if self.iteration == self.plan.iterations:
            curves.confusion(self.iteration, _confusion(probabilities, labels), self.data.scheme.classes)
        return {"val_loss": loss, "val_accuracy": accuracy}

    def _is_best(self, record: dict[str, Any]) -> bool:
        """Tell whether an epoch is the best by validation; without validation the newest is."""
        if self.best is None or "val_accuracy" not in record:
            return True
        return bool(record["val_accuracy"] > self.best["val_accuracy"])

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the blobs that make the model, by "<layer>/<i>": the averages where there are any."""
        return self.average.blobs if self.average else self.blobs()

    def blobs(self) -> dict[str, torch.Tensor]:
        """Return the blobs of the net's deploy form by "<layer>/<i>"; classifiers for training alone are left out."""
        deployed = {layer.name for layer in self.plan.deploy.layer}
        blobs = {name: blobs for name, blobs in self.net.params.items() if name in deployed}
        return {f"{name}/{i}": blob for name, tensors in blobs.items() for i, blob in enumerate(tensors)}

    def model(self) -> Model:
        """Return the net as it stands as a model."""
        facts = {
            "init": self.initial.to_dict() if self.initial else None,
            "recipe": {**self.plan.to_dict(), "solver": pl.to_text(self.plan.solver), "precision": str(self.dtype)},
            "data": self.data.facts(),
            "versions": versions(),
            "selected": "highest validation accuracy" if self.validation is not None else "last epoch",
            "epoch": self.log[-1] if self.log else None,
        }
        return Model(
            name=self.plan.name,
            net_text=pl.to_text(self.plan.deploy),
            transform_text=pl.to_text(_without_mean_file(recipe.data_layer(self.plan.net, "TEST").transform_param)),
            weights=self.weights(),
            mean=self.mean,
            scheme=self.data.scheme,
            preprocessing=self.data.preprocessing,
            facts=facts,
        )

    def write_snapshot(self, curves: Curves) -> None:
        """Write everything that going on needs; the curves up to here are on the disk first."""
        curves.flush()
        self.model().save(self.folder.last)
        tensors = {f"net/{key}": value for key, value in self.net.state_dict().items()}
        tensors |= {f"solver/{key}": value for key, value in solver_state.tensors_of(self.solver).items()}
        if self.average:
            tensors |= {f"average/{key}": value for key, value in self.average.blobs.items()}
        tensors["loss_sum"] = self.loss_sum
        facts = {
            "iteration": self.iteration,
            "loss_count": self.loss_count,
            "log": self.log,
            "best": self.best,
            "initial": self.initial.to_dict() if self.initial else None,
            "solver": solver_state.facts_of(self.solver),
        }
        self.folder.write_snapshot(Snapshot(tensors, facts))
        self.folder.write_log(self.log)

    def restore(self) -> None:
        """Take up the newest snapshot, if there is one."""
        snapshot = self.folder.read_snapshot()
        if snapshot is None:
            return
        tensors, facts = snapshot.tensors, snapshot.facts
        self.net.load_state_dict(_below("net/", tensors))
        solver_state.restore(self.solver, _below("solver/", tensors), facts["solver"])
        if self.average:
            self.average.restore(_below("average/", tensors))
        self.initial = Initial(**facts["initial"]) if facts.get("initial") else None
        self.loss_sum.copy_(tensors["loss_sum"])
        self.loss_count = facts["loss_count"]
        self.iteration, self.log, self.best = facts["iteration"], facts["log"], facts["best"]


def _without_mean_file(parameter: pl.TransformationParameter) -> pl.TransformationParameter:
    """Return the transform without the path of its mean: a model carries the mean itself."""
    copy = pl.TransformationParameter()
    copy.CopyFrom(parameter)
    copy.ClearField("mean_file")
    return copy


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count predictions: (C, C), rows are true classes."""
    classes = probabilities.shape[1]
    flat = np.bincount(labels * classes + probabilities.argmax(axis=1), minlength=classes * classes)
    return flat.reshape(classes, classes)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a wish to stop; a second SIGINT stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Clock:
    """Measures faces a second since the last restart."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        self.start, self.steps = time.monotonic(), 0

    def tick(self) -> None:
        self.steps += 1

    def rate(self) -> float:
        return self.steps * self.batch_size / max(time.monotonic() - self.start, 1e-9)
