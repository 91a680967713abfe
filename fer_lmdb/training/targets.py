"""Training targets: labels, soft labels, class weights and teacher probabilities per face.

If the solver uses one of these extensions, a label becomes a target row: a distribution over the classes, scaled by
the weight of the face. With teachers, a second row holds their probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import prototxt_like as pl
from fer_lmdb.choices import SOFT_LABEL_MODES
from fer_lmdb.data import ferplus
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import RunError
from fer_lmdb.runtime.seeding import derive_seed
from fer_lmdb.training.class_weights import class_weights
from fer_lmdb.training.mixup import Mixup


def uses_soft_targets(solver: pl.SolverParameter) -> bool:
    """Return whether targets are distributions instead of labels."""
    mixes = bool(solver.mixup or solver.cutmix)
    weighs = bool(solver.soft_labels or solver.class_weighting or solver.class_weight)
    return bool(solver.label_smoothing or mixes or weighs or solver.teacher)


def validate_targets(solver: pl.SolverParameter) -> None:
    """Check the ranges of the target fields.

    Raises:
        RunError: If a field is out of range.
    """
    if not 0 <= solver.label_smoothing < 1:
        raise RunError(f"label_smoothing is {solver.label_smoothing:g}; it must be at least 0 and less than 1")
    if solver.soft_labels and solver.soft_labels not in SOFT_LABEL_MODES:
        raise RunError(f'soft_labels is "{solver.soft_labels}"; expected one of {", ".join(SOFT_LABEL_MODES)}')


class TargetBuilder:
    """Build the targets of the training faces once, before training.

    Args:
        solver: Reads label_smoothing, soft_labels, class_weighting, class_weight and teacher.
        classes: Number of classes.
    """

    def __init__(self, solver: pl.SolverParameter, classes: int) -> None:
        self.solver, self.classes = solver, classes
        self.soft = uses_soft_targets(solver)

    def load(
        self, data: DataSet, splits: Sequence[str], labels: Tensor, teacher_probabilities: Tensor | None
    ) -> Tensor:
        """Return the targets of all training faces.

        Args:
            data: Data set; its FER+ votes are read if the solver has soft_labels.
            splits: Training splits.
            labels: (N,) int64 labels of these splits in order.
            teacher_probabilities: (N, classes) of offline teachers, or None.
        Returns:
            (N,) labels, or (N, 1 or 2, classes) rows, on the device of the labels.
        Raises:
            DataSetError: If soft labels are enabled and the data set has no votes.
            RunError: If the class weights are invalid.
        """
        distributions = None
        if self.solver.soft_labels:
            votes = np.concatenate([ferplus.read(data, split) for split in splits])
            distributions = torch.from_numpy(ferplus.targets(votes, self.solver.soft_labels)).to(labels.device)
        counts = torch.bincount(labels, minlength=self.classes) if distributions is None else distributions.sum(dim=0)
        weights = class_weights(self.solver, counts.cpu().numpy().astype(np.float64))
        tensor = None if weights is None else torch.from_numpy(weights).to(labels.device)
        return self.rows(labels, distributions, tensor, teacher_probabilities)

    def rows(
        self,
        labels: Tensor,
        distributions: Tensor | None = None,
        weights: Tensor | None = None,
        teacher_probabilities: Tensor | None = None,
    ) -> Tensor:
        """Return the targets of faces.

        Args:
            labels: (N,) int64.
            distributions: (N, classes) soft labels that replace the labels, zero for ignored faces; or None.
            weights: (classes,) class weights, or None.
            teacher_probabilities: (N, classes), or None.
        Returns:
            (N,) labels if no extension is used, else (N, 1, classes) float32, or (N, 2, classes) with teachers.
        """
        if not self.soft:
            return labels
        hard = F.one_hot(labels, self.classes).float() if distributions is None else distributions
        importance = hard.sum(dim=1) if weights is None else hard @ weights
        stacked = torch.stack([hard] if teacher_probabilities is None else [hard, teacher_probabilities], dim=1)
        return stacked * importance[:, None, None]


class BatchTargets:
    """Turn the targets of a batch into the net's inputs: sampled votes, label smoothing, mixing, online teachers.

    The random parameters of a batch depend only on the seed and the batch number.

    Args:
        solver: Reads label_smoothing, soft_labels, and the fields of `Mixup`.
        classes: Number of classes.
        seed: Seed of this process.
        online_teachers: Maps (N, C, H, W) transformed faces to (N, classes) probabilities; None without online
            teachers.
    """

    def __init__(
        self,
        solver: pl.SolverParameter,
        classes: int,
        seed: int,
        online_teachers: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.builder = TargetBuilder(solver, classes)
        self.mix = Mixup(solver, seed)
        self.smoothing = solver.label_smoothing
        self.samples_votes = solver.soft_labels == "probability"
        self.classes, self.seed = classes, seed
        self.online_teachers = online_teachers

    def __call__(self, faces: Tensor, targets: Tensor, number: int) -> tuple[Tensor, ...]:
        """Return the inputs of the net for one batch.

        Args:
            faces: (N, C, H, W) float, transformed.
            targets: (N,) labels or target rows, see `TargetBuilder.rows`.
            number: Number of the batch.
        Returns:
            Faces, mixed if mixing is enabled; (N,) labels or (N, classes) distributions; with teachers, their
            (N, classes) probabilities.
        """
        if not self.builder.soft:
            return faces, targets
        rows = self.builder.rows(targets) if targets.ndim == 1 else targets
        if self.samples_votes:
            rows = self._sample(rows, number)
        faces, rows = self.mix(faces, self._smooth(rows), number)
        inputs = rows.unbind(dim=1)
        if self.online_teachers is None:
            return faces, *inputs
        return faces, inputs[0], self.online_teachers(faces) * inputs[0].sum(dim=1, keepdim=True)

    def _smooth(self, rows: Tensor) -> Tensor:
        """Smooth the row of the labels; the row of the teachers is unchanged."""
        if not self.smoothing:
            return rows
        hard = rows[:, :1]
        smooth = hard * (1 - self.smoothing) + hard.sum(dim=2, keepdim=True) * self.smoothing / self.classes
        return torch.cat([smooth, rows[:, 1:]], dim=1)

    def _sample(self, rows: Tensor, number: int) -> Tensor:
        """Sample one class from each distribution; its target is the sum of the row."""
        generator = np.random.default_rng(derive_seed(self.seed, number, "votes"))
        hard = rows[:, 0]
        weight = hard.sum(dim=1, keepdim=True)
        points = torch.from_numpy(generator.random((len(rows), 1), dtype=np.float32)).to(rows.device) * weight
        drawn = (hard.cumsum(dim=1) <= points).sum(dim=1).clamp(max=self.classes - 1)
        return torch.cat([(F.one_hot(drawn, self.classes) * weight)[:, None], rows[:, 1:]], dim=1)
