"""What the loss compares with: labels, softened, weighted, mixed and joined by teachers as the solver says.

As soon as one of the solver's extensions asks for it, a label becomes a row of targets: a distribution over the
classes, times the weight of its face. With teachers there is a second row, of their probabilities.
Source: Zhang et al., mixup (arXiv 1710.09412); Yun et al., CutMix (arXiv 1905.04899)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import prototxt_like as pl
from fer_lmdb.data.ferplus import SOFT_LABEL_MODES
from fer_lmdb.errors import RunError
from fer_lmdb.runtime.seeding import derive_seed


class Targets:
    """Softens labels and mixes faces; each draw follows from seed and iteration."""

    def __init__(self, solver: pl.SolverParameter, classes: int, seed: int) -> None:
        """Read the solver's fields.

        Raises:
            RunError: a field out of its range.
        """
        self.smoothing, self.mixup, self.cutmix = solver.label_smoothing, solver.mixup, solver.cutmix
        self.mix_probability = solver.mix_probability
        batches = solver.max_iter * max(1, solver.iter_size)
        self.mix_until_batch = round(solver.mix_until * batches) if solver.mix_until < 1 else math.inf
        self.classes, self.seed = classes, seed
        self.draws_votes = solver.soft_labels == "probability"
        self.distills = bool(solver.teacher)
        #: Gives the teachers' probabilities for the faces of a batch; None where they are known beforehand.
        self.teach: Callable[[Tensor], Tensor] | None = None
        self._mixes = bool(self.mixup or self.cutmix)
        self._weighs = bool(solver.soft_labels or solver.class_weighting or solver.class_weight)
        _check(solver)

    @property
    def soft(self) -> bool:
        """Tell whether targets are distributions rather than labels."""
        return bool(self.smoothing or self._mixes or self._weighs or self.distills)

    def target_rows(
        self,
        labels: Tensor,
        fractions: Tensor | None,
        weights: Tensor | None,
        teacher_probabilities: Tensor | None = None,
    ) -> Tensor:
        """Return what the faces of a split are compared with.

        Args:
            labels: (N,) int64.
            fractions: (N, classes) distributions that replace the labels, 0 for faces that do not count; or None.
            weights: (classes,) weight of a face by its class, or None.
            teacher_probabilities: (N, classes) the teachers' probabilities, or None.
        Returns:
            (N,) the labels as they are, or (N, 1, classes), with teachers (N, 2, classes) float32.
        """
        if not self.soft:
            return labels
        hard = F.one_hot(labels, self.classes).float() if fractions is None else fractions
        importance = hard.sum(dim=1) if weights is None else hard @ weights
        stacked = torch.stack([hard] if teacher_probabilities is None else [hard, teacher_probabilities], dim=1)
        return stacked * importance[:, None, None]

    def __call__(self, faces: Tensor, labels: Tensor, iteration: int) -> tuple[Tensor, ...]:
        """Return the inputs of the net in an iteration.

        Args:
            faces: (N, C, H, W) float, already transformed.
            labels: (N,) int64 or rows of targets, as `target_rows` gives them.
            iteration: number of the batch; decides the draw.
        Returns:
            the faces, mixed or not; (N,) labels or (N, classes) distributions; with teachers another such tensor.
        """
        if not self.soft:
            return faces, labels
        rows = self.target_rows(labels, None, None) if labels.ndim == 1 else labels
        if self.draws_votes:
            rows = self._drawn(rows, iteration)
        faces, rows = self._mixed(faces, self._smoothed(rows), iteration)
        targets = rows.unbind(dim=1)
        if self.teach is None:
            return faces, *targets
        return faces, targets[0], self.teach(faces) * targets[0].sum(dim=1, keepdim=True)

    def _smoothed(self, rows: Tensor) -> Tensor:
        """Spread a share of the labels' row evenly; the teachers' stays as it is."""
        if not self.smoothing:
            return rows
        hard = rows[:, :1]
        smooth = hard * (1 - self.smoothing) + hard.sum(dim=2, keepdim=True) * self.smoothing / self.classes
        return torch.cat([smooth, rows[:, 1:]], dim=1)

    def _drawn(self, rows: Tensor, iteration: int) -> Tensor:
        """Draw one class from every distribution, with the weight of the whole."""
        generator = np.random.default_rng(derive_seed(self.seed, iteration, "votes"))
        hard = rows[:, 0]
        weight = hard.sum(dim=1, keepdim=True)
        points = torch.from_numpy(generator.random((len(rows), 1), dtype=np.float32)).to(rows.device) * weight
        drawn = (hard.cumsum(dim=1) <= points).sum(dim=1).clamp(max=self.classes - 1)
        return torch.cat([(F.one_hot(drawn, self.classes) * weight)[:, None], rows[:, 1:]], dim=1)

    def _mixed(self, faces: Tensor, rows: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        generator = np.random.default_rng(derive_seed(self.seed, iteration, "mix"))
        if not self._mixes or iteration >= self.mix_until_batch or generator.random() >= self.mix_probability:
            return faces, rows
        partners = torch.from_numpy(generator.permutation(len(faces))).to(faces.device)
        if self._takes_cutmix(generator):
            faces, ratio = cutmix(faces, faces[partners], generator, generator.beta(self.cutmix, self.cutmix))
        else:
            ratio = generator.beta(self.mixup, self.mixup)
            faces = faces * ratio + faces[partners] * (1 - ratio)
        return faces, rows * ratio + rows[partners] * (1 - ratio)

    def _takes_cutmix(self, generator: np.random.Generator) -> bool:
        """Choose between the two by a coin where both are asked for."""
        return bool(self.cutmix and (not self.mixup or generator.random() < 0.5))


def _check(solver: pl.SolverParameter) -> None:
    if not 0 <= solver.label_smoothing < 1:
        raise RunError(f"label_smoothing is {solver.label_smoothing:g}; it has to be at least 0 and less than 1")
    if solver.mixup < 0 or solver.cutmix < 0:
        raise RunError(f"mixup is {solver.mixup:g}, cutmix {solver.cutmix:g}; neither may be below 0")
    if not (0 <= solver.mix_probability <= 1 and 0 <= solver.mix_until <= 1):
        raise RunError(
            f"mix_probability is {solver.mix_probability:g}, mix_until {solver.mix_until:g}; "
            "both are parts of a whole, from 0 to 1"
        )
    if solver.soft_labels and solver.soft_labels not in SOFT_LABEL_MODES:
        raise RunError(f'soft_labels is "{solver.soft_labels}"; it has to be one of: {", ".join(SOFT_LABEL_MODES)}')


def cutmix(faces: Tensor, others: Tensor, generator: np.random.Generator, ratio: float) -> tuple[Tensor, float]:
    """Paste a rectangle of other faces over faces.

    Args:
        faces: (N, C, H, W).
        others: the same shape.
        generator: draws the rectangle's centre.
        ratio: part of the area that shall stay.
    Returns:
        the new faces, and the part of the area that stayed after the rectangle was cut at the border.
    """
    height, width = faces.shape[-2:]
    half = np.sqrt(1 - ratio) / 2
    row, column = generator.random() * height, generator.random() * width
    top, bottom = round(max(row - half * height, 0)), round(min(row + half * height, height))
    left, right = round(max(column - half * width, 0)), round(min(column + half * width, width))
    faces = faces.clone()
    faces[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return faces, 1 - (bottom - top) * (right - left) / (height * width)


def use_soft_labels(net: pl.NetParameter) -> pl.NetParameter:
    """Return a copy of a net whose SoftmaxWithLoss layers take distributions instead of labels.

    Raises:
        RunError: the net has no such loss.
    """
    copy = pl.NetParameter()
    copy.CopyFrom(net)
    for layer in softmax_losses(copy):
        layer.loss_param.soft_label = True
    return copy


def softmax_losses(net: pl.NetParameter) -> list[pl.LayerParameter]:
    """Return the layers whose labels can become distributions.

    Raises:
        RunError: the net has none.
    """
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    if not losses:
        raise RunError(
            f'net "{net.name}": label smoothing, mixing, soft labels, class weights and teachers need a '
            "SoftmaxWithLoss layer"
        )
    return losses
