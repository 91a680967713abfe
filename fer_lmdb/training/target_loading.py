"""What a training learns from: the faces of its splits, each with its label or its row of targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.data import ferplus
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.models.run_folder import TEACHER_FILE, RunFolder
from fer_lmdb.training import distillation
from fer_lmdb.training.class_weights import class_weights
from fer_lmdb.training.recipe import Recipe
from fer_lmdb.training.targets import Targets, use_soft_labels


def adapt_loss_layers(
    plan: Recipe, targets: Targets, classes: int
) -> tuple[pl.NetParameter, dict[str, tuple[int, ...]]]:
    """Return the plan's net with losses that take the targets, and the shapes of the inputs that change."""
    distillation.validate_teachers(plan.solver)
    if not targets.soft:
        return plan.net, {}
    net = use_soft_labels(plan.net)
    if targets.distills:
        net = distillation.add_distillation_loss(net, plan.solver)
    tops = list(pl.data_layer(net, "TRAIN").top)[1:]  # the label, and what the teachers say
    return net, dict.fromkeys(tops, (plan.batch_size, classes))


def load_targets(
    plan: Recipe, data: DataSet, targets: Targets, labels: Tensor, teacher_probabilities: Tensor | None
) -> Tensor:
    """Return what the faces of the training are compared with.

    Args:
        plan: its solver's soft_labels, class_weighting and class_weight.
        data: the data set; its votes are read where they are asked for.
        targets: makes the rows.
        labels: (N,) int64 of all training splits, one after the other.
        teacher_probabilities: (N, classes) the teachers' probabilities, or None.
    Returns:
        (N,) labels or (N, 1 or 2, classes) rows, on the device of the labels.
    Raises:
        DataSetError: votes are asked for, and there are none.
        RunError: weights that make no sense.
    """
    solver, splits = plan.solver, plan.options.splits
    shares = None
    if solver.soft_labels:
        cast = np.concatenate([ferplus.read(data, split) for split in splits])
        shares = torch.from_numpy(ferplus.targets(cast, solver.soft_labels)).to(labels.device)
    counts = torch.bincount(labels, minlength=len(data.scheme)) if shares is None else shares.sum(dim=0)
    weights = class_weights(solver, counts.cpu().numpy().astype(np.float64))
    tensor = None if weights is None else torch.from_numpy(weights).to(labels.device)
    return targets.target_rows(labels, shares, tensor, teacher_probabilities)


def build_online_teachers(
    plan: Recipe, data: DataSet, mean: np.ndarray | None, device: torch.device, precision: torch.dtype
) -> distillation.OnlineTeachers | None:
    """Make the teachers ready that look at the augmented faces of every batch.

    Args:
        plan: its solver's teachers and what they see.
        data: the training's data set.
        mean: the mean image that the net subtracts, None where it does not.
        device: where they compute.
        precision: what they compute in, the training's.
    Returns:
        None where there are no teachers, or where they look at the faces beforehand.
    Raises:
        ModelError, RunError: a teacher is missing or does not fit.
    """
    solver = plan.solver
    if not solver.teacher or solver.teacher_sees != "batches":
        return None
    return distillation.OnlineTeachers(
        distillation.load_teachers(solver.teacher, DataSetVariants.of([data])), plan, mean, device, precision
    )


def cached_teacher_probabilities(
    plan: Recipe,
    data: DataSet,
    folder: RunFolder,
    parts: Sequence[SplitArrays],
    device: torch.device,
    precision: torch.dtype,
) -> Tensor:
    """Let the teachers look at the faces of the training.

    What they say is kept in the run folder: a run that goes on needs them no more.

    Args:
        plan: its solver's teachers.
        data: the training's data set.
        folder: of the run.
        parts: the faces of each training split.
        device: where the teachers compute.
        precision: what they compute in, the training's.
    Returns:
        (N, classes) float32, on the processor.
    Raises:
        ModelError, RunError: a teacher is missing or does not fit.
        DataSetError: a data set of teacher_data is missing, or holds other faces.
    """
    solver, cache = plan.solver, folder.stored(TEACHER_FILE)
    if cache.exists():
        return next(iter(load_file(cache).values()))
    splits = plan.options.splits
    sets = [data, *map(DataSet.open, solver.teacher_data)]
    variants = DataSetVariants.of(sets, known=dict(zip(splits, parts, strict=True)))
    members = distillation.load_teachers(solver.teacher, variants)
    probabilities = distillation.teacher_probabilities(members, variants, splits, solver.temperature, device, precision)
    probabilities = probabilities.cpu().contiguous()
    with atomic_file(cache) as partial:
        save_file({distillation.TOP: probabilities}, partial)
    return probabilities
