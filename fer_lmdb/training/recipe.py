"""Recipe of a run: train_val net, deploy net and solver after the options were applied.

The run folder stores the recipe, so that a run can be read, repeated and resumed from its folder.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.options import TrainOptions
from fer_lmdb.training.overrides import apply_options, merge_solver_text, set_schedule


@dataclass(frozen=True)
class Recipe:
    """Three Caffe messages and the options that they were made from.

    Attributes:
        options: Training options.
        net: train_val net.
        deploy: Deploy net.
        solver: Solver.
        epoch_size: Number of training faces.
    """

    options: TrainOptions
    net: pl.NetParameter
    deploy: pl.NetParameter
    solver: pl.SolverParameter
    epoch_size: int

    @property
    def name(self) -> str:
        """Name of the net."""
        return Path(self.options.model).name

    @property
    def seed(self) -> int:
        """Seed of weights, order, augmentation and dropout."""
        return self.options.seed or 0

    @property
    def batch_size(self) -> int:
        """Faces per batch over all processes."""
        return int(pl.data_layer(self.net, "TRAIN").data_param.batch_size)

    @property
    def samples_per_update(self) -> int:
        """Faces per iteration: iter_size batches."""
        return self.batch_size * int(self.solver.iter_size)

    @property
    def iterations(self) -> int:
        """Number of iterations of the complete run."""
        return int(self.solver.max_iter)

    @property
    def epochs(self) -> float:
        """Number of epochs of the complete run."""
        return self.iterations * self.samples_per_update / self.epoch_size

    @property
    def lr_drops(self) -> frozenset[int]:
        """Iterations before which a multistep learning rate drops."""
        return frozenset(self.solver.stepvalue if self.solver.lr_policy == "multistep" else ())

    def epoch_end(self, epoch: int) -> int:
        """Return the last iteration of an epoch, counted from 1."""
        return min(self.iterations, math.ceil(epoch * self.epoch_size / self.samples_per_update))

    def epoch_ending_at(self, iteration: int) -> int | None:
        """Return the number of the epoch that ends with this iteration, or None."""
        epoch = iteration * self.samples_per_update // self.epoch_size
        if epoch and self.epoch_end(epoch) == iteration:
            return epoch
        return math.ceil(self.epochs) if iteration == self.iterations else None

    def transform(self, phase: str) -> pl.TransformationParameter:
        """Return the transform of a phase without the path of its mean file; models store the mean itself."""
        copy = pl.TransformationParameter()
        copy.CopyFrom(pl.data_layer(self.net, phase).transform_param)
        copy.ClearField("mean_file")
        return copy

    def has_validation(self, data: DataSet) -> bool:
        """Return whether the data set has a val split that is not trained on."""
        return "val" not in self.options.splits and bool(data.count("val"))

    def write(self, run: RunFolder) -> None:
        """Write the three prototxt files to the run folder."""
        atomic_write_text(run.path / "train_val.prototxt", pl.to_text(self.net))
        atomic_write_text(run.path / "deploy.prototxt", pl.to_text(self.deploy))
        atomic_write_text(run.path / "solver.prototxt", pl.to_text(self.solver))

    def with_precision(self, dtype: torch.dtype) -> Recipe:
        """Return the recipe with a fixed dtype instead of "auto": all processes and a resumed run compute in it."""
        return replace(self, options=replace(self.options, precision=str(dtype).removeprefix("torch.")))

    def to_dict(self) -> dict[str, Any]:
        """Return options and epoch size for run.json."""
        return {"options": asdict(self.options), "epoch_size": self.epoch_size}


def load_recipe(run: RunFolder, config: dict[str, Any]) -> Recipe:
    """Read the recipe of a run from its folder.

    Args:
        run: Run folder.
        config: Contents of run.json.
    Raises:
        RunError: If run.json has options that this version does not have.
    """
    try:
        options, epoch_size = TrainOptions(**config["options"]), config["epoch_size"]
    except TypeError as error:
        by = config.get("versions", {}).get("fer-lmdb", "unknown")
        raise RunError(
            f"{run.config}: unknown or missing options ({error}), written by version {by} of fer-lmdb; "
            "resume with that version, or start a new run with --init"
        ) from error
    return Recipe(
        options=options,
        net=pl.read_net(run.path / "train_val.prototxt"),
        deploy=pl.read_net(run.path / "deploy.prototxt"),
        solver=pl.read_solver(run.path / "solver.prototxt"),
        epoch_size=epoch_size,
    )


def build_recipe(options: TrainOptions, epoch_size: int, classes: int) -> Recipe:
    """Apply options to the files of a net.

    Args:
        options: Training options.
        epoch_size: Number of training faces.
        classes: Number of outputs of the last layer.
    Raises:
        RunError: If an option is invalid.
    """
    net, deploy, solver = _read_files(options.model)
    layer = pl.data_layer(net, "TRAIN")
    if options.batch_size is not None:
        layer.data_param.batch_size = options.batch_size
    if options.solver_text:
        merge_solver_text(solver, options.solver_text)
    per_update = layer.data_param.batch_size * max(1, solver.iter_size)
    epoch_iterations = Fraction(epoch_size, per_update)  # exact, so that no epoch ends an iteration early or late
    apply_options(options, solver, layer.transform_param, epoch_iterations)
    set_schedule(solver, options, epoch_iterations)
    options = replace(options, seed=_seed_of(options, solver))
    solver.random_seed = options.seed or 0
    return Recipe(
        options, pl.zoo.set_num_classes(net, classes), pl.zoo.set_num_classes(deploy, classes), solver, epoch_size
    )


def _seed_of(options: TrainOptions, solver: pl.SolverParameter) -> int:
    """Return --seed, or the solver's random_seed, or 0; a negative random_seed means "not set", as in Caffe."""
    return max(solver.random_seed, 0) if options.seed is None else options.seed


def _read_files(model: str) -> tuple[pl.NetParameter, pl.NetParameter, pl.SolverParameter]:
    folder = Path(model) if Path(model).is_dir() else pl.zoo.path(model)
    return (
        pl.read_net(folder / "train_val.prototxt"),
        pl.read_net(folder / "deploy.prototxt"),
        pl.read_solver(folder / "solver.prototxt"),
    )
