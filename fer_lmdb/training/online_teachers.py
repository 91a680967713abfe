"""Online distillation: teachers that run on every training batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import RunError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.training.distillation import apply_temperature, count_models, load_teachers, uses_offline_teachers
from fer_lmdb.training.recipe import Recipe


class OnlineTeachers:
    """Teachers that run on the augmented faces of every batch.

    Args:
        teachers: Models; a repeated model has a higher weight and runs once.
        recipe: Recipe of the student.
        mean: Mean image of the student's transform, or None.
        device: Device of the teachers.
        dtype: Compute dtype of the teachers.
    Raises:
        RunError: If the input transform of a teacher differs from the student's.
    """

    def __init__(
        self,
        teachers: Sequence[Model],
        recipe: Recipe,
        mean: np.ndarray | None,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        for model in teachers:
            _check_input(model, recipe, mean)
        self.classifiers = [(Classifier(model, device, dtype), count) for model, count in count_models(teachers)]
        self.total = len(teachers)
        self.temperature = recipe.solver.temperature

    @classmethod
    def load(
        cls, recipe: Recipe, data: DataSet, mean: np.ndarray | None, device: torch.device, dtype: torch.dtype
    ) -> OnlineTeachers | None:
        """Load the teachers of a recipe; None if it has no online teachers.

        Raises:
            ModelError: If a teacher is missing or damaged.
            RunError: If a teacher does not fit the data set or the student's input.
        """
        solver = recipe.solver
        if not solver.teacher or uses_offline_teachers(solver):
            return None
        return cls(load_teachers(solver.teacher, DataSetVariants.of([data])), recipe, mean, device, dtype)

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Tensor:
        """Return (N, classes) probabilities of (N, C, H, W) transformed faces."""
        probabilities = [count * classifier.forward(faces) for classifier, count in self.classifiers]
        return apply_temperature(torch.stack(probabilities).sum(dim=0) / self.total, self.temperature)


def _check_input(model: Model, recipe: Recipe, mean: np.ndarray | None) -> None:
    own = pl.parse_transform(model.transform_prototxt)
    ours = recipe.transform("TEST")
    same_mean = (model.mean is None and mean is None) or (
        model.mean is not None and mean is not None and np.array_equal(model.mean, mean)
    )
    if own != ours or not same_mean:
        raise RunError(
            f'teacher {model.name}: its input transform is "{_one_line(own)}", the net\'s is "{_one_line(ours)}"'
            f"{'' if same_mean else ', and the mean images differ'}; use --distill-mode offline"
        )


def _one_line(message: pl.TransformationParameter) -> str:
    return " ".join(pl.to_text(message).split())
