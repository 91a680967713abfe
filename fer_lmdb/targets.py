"""What the loss compares with: labels, softened and mixed as the solver's extensions say.

label_smoothing, mixup and cutmix turn a label into a distribution over the classes.
Source: Zhang et al., mixup (arXiv 1710.09412); Yun et al., CutMix (arXiv 1905.04899)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import prototxt_like as pl
from fer_lmdb.batches import mixed_seed
from fer_lmdb.errors import RunError


class Targets:
    """Softens labels and mixes faces; each draw follows from seed and iteration."""

    def __init__(self, solver: pl.SolverParameter, classes: int, seed: int) -> None:
        """Read the solver's fields.

        Raises:
            RunError: a field out of its range.
        """
        self.smoothing, self.mixup, self.cutmix = solver.label_smoothing, solver.mixup, solver.cutmix
        self.mix_probability = solver.mix_probability
        self.classes, self.seed = classes, seed
        if not 0 <= self.smoothing < 1:
            raise RunError(f"label_smoothing is {self.smoothing:g}; it has to be at least 0 and less than 1")
        if self.mixup < 0 or self.cutmix < 0:
            raise RunError(f"mixup is {self.mixup:g}, cutmix {self.cutmix:g}; neither may be below 0")

    @property
    def soft(self) -> bool:
        """Tell whether targets are distributions rather than labels."""
        return bool(self.smoothing or self.mixup or self.cutmix)

    def __call__(self, faces: Tensor, labels: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the faces and targets of an iteration.

        Args:
            faces: (N, C, H, W) float, already transformed.
            labels: (N,) int64.
            iteration: decides the draw.
        Returns:
            the faces, mixed or not, and (N,) labels or (N, classes) distributions.
        """
        if not self.soft:
            return faces, labels
        targets = F.one_hot(labels, self.classes).float()
        targets = targets * (1 - self.smoothing) + self.smoothing / self.classes
        generator = np.random.default_rng(mixed_seed(self.seed, iteration, "mix"))
        if not (self.mixup or self.cutmix) or generator.random() >= self.mix_probability:
            return faces, targets
        partners = torch.from_numpy(generator.permutation(len(faces))).to(faces.device)
        if self._takes_cutmix(generator):
            faces, share = paste(faces, faces[partners], generator, generator.beta(self.cutmix, self.cutmix))
        else:
            share = generator.beta(self.mixup, self.mixup)
            faces = faces * share + faces[partners] * (1 - share)
        return faces, targets * share + targets[partners] * (1 - share)

    def _takes_cutmix(self, generator: np.random.Generator) -> bool:
        """Choose between the two by a coin where both are asked for."""
        return bool(self.cutmix and (not self.mixup or generator.random() < 0.5))


def paste(faces: Tensor, others: Tensor, generator: np.random.Generator, share: float) -> tuple[Tensor, float]:
    """Paste a rectangle of other faces over faces.

    Args:
        faces: (N, C, H, W).
        others: the same shape.
        generator: draws the rectangle's centre.
        share: part of the area that shall stay.
    Returns:
        the new faces, and the part of the area that stayed after the rectangle was cut at the border.
    """
    height, width = faces.shape[-2:]
    half = np.sqrt(1 - share) / 2
    row, column = generator.random() * height, generator.random() * width
    top, bottom = round(max(row - half * height, 0)), round(min(row + half * height, height))
    left, right = round(max(column - half * width, 0)), round(min(column + half * width, width))
    faces = faces.clone()
    faces[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return faces, 1 - (bottom - top) * (right - left) / (height * width)


def soften_loss(net: pl.NetParameter) -> pl.NetParameter:
    """Return a copy of a net whose SoftmaxWithLoss layers take distributions instead of labels.

    Raises:
        RunError: the net has no such loss.
    """
    copy = pl.NetParameter()
    copy.CopyFrom(net)
    losses = [layer for layer in copy.layer if layer.type == "SoftmaxWithLoss"]
    if not losses:
        raise RunError(f'net "{net.name}": label_smoothing, mixup and cutmix need a SoftmaxWithLoss layer')
    for layer in losses:
        layer.loss_param.soft_label = True
    return copy
