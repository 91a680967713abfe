"""What a training learns from: the faces of its splits, each with its label or its row of targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import prototxt_like as pl
from fer_lmdb import teachers, votes
from fer_lmdb.dataset import DataSet
from fer_lmdb.preparations import Preparations
from fer_lmdb.recipe import Recipe, data_layer
from fer_lmdb.runs import TAUGHT, RunFolder
from fer_lmdb.store import Split
from fer_lmdb.targets import Targets, soften_loss
from fer_lmdb.weighting import class_weights
from fer_lmdb.whole import replaced


def fit_net(plan: Recipe, targets: Targets, classes: int) -> tuple[pl.NetParameter, dict[str, tuple[int, ...]]]:
    """Return the plan's net with losses that take the targets, and the shapes of the inputs that change."""
    teachers.check(plan.solver)
    if not targets.soft:
        return plan.net, {}
    net = soften_loss(plan.net)
    if targets.distils:
        net = teachers.teach_loss(net, plan.solver)
    tops = list(data_layer(net, "TRAIN").top)[1:]  # the label, and what the teachers say
    return net, dict.fromkeys(tops, (plan.batch_size, classes))


def read_targets(plan: Recipe, data: DataSet, targets: Targets, labels: Tensor, taught: Tensor | None) -> Tensor:
    """Return what the faces of the training are compared with.

    Args:
        plan: its solver's soft_labels, class_weighting and class_weight.
        data: the data set; its votes are read where they are asked for.
        targets: makes the rows.
        labels: (N,) int64 of all training splits, one after the other.
        taught: (N, classes) the teachers' probabilities, or None.
    Returns:
        (N,) labels or (N, 1 or 2, classes) rows, on the device of the labels.
    Raises:
        DataSetError: votes are asked for, and there are none.
        RunError: weights that make no sense.
    """
    solver, splits = plan.solver, plan.options.train_on.split("+")
    shares = None
    if solver.soft_labels:
        cast = np.concatenate([votes.read(data, split) for split in splits])
        shares = torch.from_numpy(votes.targets(cast, solver.soft_labels)).to(labels.device)
    counts = torch.bincount(labels, minlength=len(data.scheme)) if shares is None else shares.sum(dim=0)
    weights = class_weights(solver, counts.cpu().numpy().astype(np.float64))
    tensor = None if weights is None else torch.from_numpy(weights).to(labels.device)
    return targets.rows(labels, shares, tensor, taught)


def watching(
    plan: Recipe, data: DataSet, mean: np.ndarray | None, device: torch.device, precision: torch.dtype
) -> teachers.Watching | None:
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
    return teachers.Watching(teachers.load(solver.teacher, Preparations.of([data])), plan, mean, device, precision)


def taught_rows(
    plan: Recipe,
    data: DataSet,
    folder: RunFolder,
    parts: Sequence[Split],
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
    solver, kept = plan.solver, folder.path / TAUGHT
    if kept.exists():
        return load_file(kept)[teachers.TOP]
    sets = Preparations.of([data, *map(DataSet.open, solver.teacher_data)])
    members = teachers.load(solver.teacher, sets)
    faces = [sets.read(split, part) for split, part in zip(plan.options.train_on.split("+"), parts, strict=True)]
    taught = teachers.look_at(members, faces, solver.temperature, device, precision).cpu().contiguous()
    with replaced(kept) as partial:
        save_file({teachers.TOP: taught}, partial)
    return taught
