"""Mixup and CutMix on batches.

Source: Zhang et al., mixup (arXiv 1710.09412); Yun et al., CutMix (arXiv 1905.04899)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.runtime.seeding import derive_seed


class Mixup:
    """Mix the faces and targets of a batch with a permutation of the batch.

    The random parameters of a batch depend only on the seed and the batch number.

    Args:
        solver: Reads mixup, cutmix, mix_probability, mix_until, max_iter and iter_size.
        seed: Seed of this process.
    """

    def __init__(self, solver: pl.SolverParameter, seed: int) -> None:
        self.mixup, self.cutmix, self.probability = solver.mixup, solver.cutmix, solver.mix_probability
        batches = solver.max_iter * max(1, solver.iter_size)
        self.mix_until_batch = round(solver.mix_until * batches) if solver.mix_until < 1 else math.inf
        self.seed = seed

    @property
    def is_active(self) -> bool:
        """Whether batches are mixed at all."""
        return bool(self.mixup or self.cutmix)

    def __call__(self, faces: Tensor, rows: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Mix one batch.

        Args:
            faces: (N, C, H, W) float.
            rows: (N, ..., classes) target rows.
            number: Number of the batch.
        Returns:
            Faces and targets of the same shapes.
        """
        generator = np.random.default_rng(derive_seed(self.seed, number, "mix"))
        if not self.is_active or number >= self.mix_until_batch or generator.random() >= self.probability:
            return faces, rows
        partners = torch.from_numpy(generator.permutation(len(faces))).to(faces.device)
        if self._use_cutmix(generator):
            faces, ratio = cutmix(faces, faces[partners], generator, generator.beta(self.cutmix, self.cutmix))
        else:
            ratio = generator.beta(self.mixup, self.mixup)
            faces = faces * ratio + faces[partners] * (1 - ratio)
        return faces, rows * ratio + rows[partners] * (1 - ratio)

    def _use_cutmix(self, generator: np.random.Generator) -> bool:
        """Choose between the two methods with equal probability if both are enabled."""
        return bool(self.cutmix and (not self.mixup or generator.random() < 0.5))


def validate_mixup(solver: pl.SolverParameter) -> None:
    """Check the ranges of the mixing fields.

    Raises:
        RunError: If a field is out of range.
    """
    if solver.mixup < 0 or solver.cutmix < 0:
        raise RunError(f"mixup is {solver.mixup:g} and cutmix {solver.cutmix:g}; both must be 0 or more")
    if not (0 <= solver.mix_probability <= 1 and 0 <= solver.mix_until <= 1):
        raise RunError(
            f"mix_probability is {solver.mix_probability:g} and mix_until {solver.mix_until:g}; both must be in [0, 1]"
        )


def cutmix(faces: Tensor, others: Tensor, generator: np.random.Generator, ratio: float) -> tuple[Tensor, float]:
    """Paste a rectangle of other faces into faces.

    Args:
        faces: (N, C, H, W).
        others: (N, C, H, W).
        generator: Random generator for the center of the rectangle.
        ratio: Fraction of the area to keep, before the rectangle is clipped at the border.
    Returns:
        New faces, and the remaining fraction of the area.
    """
    height, width = faces.shape[-2:]
    half = np.sqrt(1 - ratio) / 2
    row, column = generator.random() * height, generator.random() * width
    top, bottom = round(max(row - half * height, 0)), round(min(row + half * height, height))
    left, right = round(max(column - half * width, 0)), round(min(column + half * width, width))
    faces = faces.clone()
    faces[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return faces, 1 - (bottom - top) * (right - left) / (height * width)
