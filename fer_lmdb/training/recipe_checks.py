"""Validation of a training request, before anything is read or written."""

from __future__ import annotations

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.errors import RunError
from fer_lmdb.training.checkpoints import validate_checkpoints
from fer_lmdb.training.class_weights import validate_class_weights
from fer_lmdb.training.distillation import uses_offline_teachers, validate_teachers
from fer_lmdb.training.distributed import ProcessGroup
from fer_lmdb.training.early_stopping import validate_early_stopping
from fer_lmdb.training.ema import validate_ema
from fer_lmdb.training.loss_layers import adapt_loss_layers
from fer_lmdb.training.mixup import validate_mixup
from fer_lmdb.training.recipe import Recipe
from fer_lmdb.training.targets import validate_targets
from prototxt_like.solver.parameter import check_solver


def validate_recipe(
    recipe: Recipe,
    data: DataSet,
    loaders: LoaderOptions | None = None,
    process_group: ProcessGroup | None = None,
) -> None:
    """Check everything about a run that can be checked without reading faces or models.

    Args:
        recipe: Recipe of the run.
        data: Data set; only its manifest is used.
        loaders: Options of data loading.
        process_group: Processes that train together.
    Raises:
        RunError: If an option or a field of the solver is invalid.
        SolverError: If the solver contradicts a rule of Caffe.
    """
    solver, options = recipe.solver, recipe.options
    if recipe.epoch_size == 0:
        raise RunError(f"{options.data}: the training split is empty; build the data set again")
    check_solver(solver)
    validate_targets(solver)
    validate_mixup(solver)
    validate_class_weights(solver, len(data.scheme))
    validate_ema(solver.ema_decay)
    validate_checkpoints(solver)
    validate_early_stopping(solver, has_validation=recipe.has_validation(data))
    validate_teachers(solver)
    adapt_loss_layers(recipe.net, solver, len(data.scheme))
    (process_group or ProcessGroup()).local_batch_size(recipe.batch_size)
    _validate_loading(solver, data, options.splits, loaders or LoaderOptions())


def _validate_loading(solver: pl.SolverParameter, data: DataSet, splits: list[str], loaders: LoaderOptions) -> None:
    if uses_offline_teachers(solver) and loaders.should_stream(data, splits):
        raise RunError("offline teachers need the data in memory; use --distill-mode online or --loader memory")
