"""The recipe of a run: the net, its deploy form and the solver, with the command line's wishes worked in.

The solver file is the recipe; options change it, and the run folder keeps what came out,
so that a run can be read, repeated and gone on with from its folder alone.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.renames import modernize
from fer_lmdb.training.options import TrainOptions, validate_options
from fer_lmdb.training.overrides import apply_options, merge_solver_text, set_schedule


@dataclass(frozen=True)
class Recipe:
    """What runs: three Caffe messages and the options they came from."""

    options: TrainOptions
    net: pl.NetParameter
    deploy: pl.NetParameter
    solver: pl.SolverParameter
    epoch_size: int

    @property
    def name(self) -> str:
        """Return the net's name."""
        return Path(self.options.model).name

    @property
    def seed(self) -> int:
        """Seed of weights, order, augmentation and dropout."""
        return self.options.seed or 0

    @property
    def batch_size(self) -> int:
        """Return the faces of a batch, over all processes that train together."""
        return int(pl.data_layer(self.net, "TRAIN").data_param.batch_size)

    @property
    def samples_per_update(self) -> int:
        """Return the faces of an iteration: iter_size batches, whose gradients make one update."""
        return self.batch_size * int(self.solver.iter_size)

    @property
    def iterations(self) -> int:
        """Return how many iterations the whole training has."""
        return int(self.solver.max_iter)

    @property
    def epochs(self) -> float:
        """Return how many times each face is seen."""
        return self.iterations * self.samples_per_update / self.epoch_size

    def epoch_end(self, epoch: int) -> int:
        """Return the iteration after which that many epochs are done."""
        return min(self.iterations, math.ceil(epoch * self.epoch_size / self.samples_per_update))

    def epoch_ending_at(self, iteration: int) -> int | None:
        """Return the number of the epoch that ends with this many iterations done, if one does."""
        epoch = iteration * self.samples_per_update // self.epoch_size
        if epoch and self.epoch_end(epoch) == iteration:
            return epoch
        return math.ceil(self.epochs) if iteration == self.iterations else None

    def write(self, folder: RunFolder) -> None:
        """Write the recipe's three files into the run folder."""
        atomic_write_text(folder.path / "train_val.prototxt", pl.to_text(self.net))
        atomic_write_text(folder.path / "deploy.prototxt", pl.to_text(self.deploy))
        atomic_write_text(folder.path / "solver.prototxt", pl.to_text(self.solver))

    def to_dict(self) -> dict[str, Any]:
        """Return the options and the epoch's size for run.json."""
        return {"options": asdict(self.options), "epoch_size": self.epoch_size}


def load_recipe(folder: RunFolder, config: dict[str, Any]) -> Recipe:
    """Read a run's recipe back from its folder.

    Raises:
        RunError: another version of fer-lmdb has written the run.json, or none.
    """
    try:
        options, epoch_size = (
            TrainOptions(**modernize("run.json, options", config["options"])),
            int(config["epoch_size"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        by = config.get("versions", {}).get("fer-lmdb", "unknown")
        raise RunError(
            f"{folder.config}: not the options that this version knows ({error}; written by version {by}); "
            "go on with that version, or start a new run with --init"
        ) from error
    return Recipe(
        options=options,
        net=pl.read_net(folder.path / "train_val.prototxt"),
        deploy=pl.read_net(folder.path / "deploy.prototxt"),
        solver=pl.read_solver(folder.path / "solver.prototxt"),
        epoch_size=epoch_size,
    )


def build_recipe(options: TrainOptions, epoch_size: int, classes: int) -> Recipe:
    """Work the options into the net's own recipe.

    Args:
        options: the user's wishes.
        epoch_size: faces to train on.
        classes: outputs of the last layer.
    Raises:
        RunError: an option makes no sense.
    """
    validate_options(options)
    if epoch_size == 0:
        raise RunError(f"{options.data}: the training split is empty; build the data set again")
    net, deploy, solver = _read_files(options.model)
    layer = pl.data_layer(net, "TRAIN")
    if options.batch_size is not None:
        layer.data_param.batch_size = options.batch_size
    if options.solver_text:
        merge_solver_text(solver, options.solver_text)
    per_update = layer.data_param.batch_size * max(1, solver.iter_size)
    epoch_iterations = Fraction(epoch_size, per_update)  # exact: epochs end where they should
    apply_options(options, solver, layer.transform_param, epoch_iterations)
    set_schedule(solver, options, epoch_iterations)
    options = replace(options, seed=_seed_of(options, solver))
    solver.random_seed = options.seed or 0
    return Recipe(
        options, pl.zoo.set_num_classes(net, classes), pl.zoo.set_num_classes(deploy, classes), solver, epoch_size
    )


def _seed_of(options: TrainOptions, solver: pl.SolverParameter) -> int:
    """Return --seed, or the solver's random_seed, or 0; a negative random_seed is Caffe's "not set"."""
    return max(solver.random_seed, 0) if options.seed is None else options.seed


def _read_files(model: str) -> tuple[pl.NetParameter, pl.NetParameter, pl.SolverParameter]:
    folder = Path(model) if Path(model).is_dir() else pl.zoo.path(model)
    return (
        pl.read_net(folder / "train_val.prototxt"),
        pl.read_net(folder / "deploy.prototxt"),
        pl.read_solver(folder / "solver.prototxt"),
    )
