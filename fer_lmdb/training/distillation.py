"""Distillation: a net learns from the probabilities of trained models beside the labels.

The loss becomes (1 - w) * cross-entropy with the labels + w * T * T * cross-entropy between the teachers'
probabilities and the net's, both with their scores divided by the temperature T. T * T keeps the second part's
gradients as large as the first's. Several teachers are averaged.

What the teachers look at is `teacher_sees`:
    faces     every face once, whole, in four views, each teacher through its own crop and normalisation; costs one
              pass before the training, and the result is kept in the run folder. The default. A teacher that knows
              another kind of face looks at the same faces in a data set of `teacher_data`.
    batches   the augmented and mixed faces that the net sees, in every iteration; the truer lesson, at the price of
              the teachers' forward pass; they have to take the very input that the net takes.
Source: Hinton et al., Distilling the knowledge in a neural network (arXiv 1503.02531); Beyer et al., Knowledge
    distillation: a good teacher is patient and consistent (arXiv 2106.05237)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import RunError
from fer_lmdb.labels import require_same
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.training import recipe
from fer_lmdb.training.targets import softmax_losses

DISTILL_MODES = ("faces", "batches")
VIEWS = 4  # better than ten crops, and cheaper: docs/experiments.md
TOP = "teacher"
FIELDS = ("teacher_weight", "temperature", "teacher_sees", "teacher_data")


def validate_teachers(solver: pl.SolverParameter) -> None:
    """Refuse numbers that make no sense, and what would have no effect.

    Raises:
        RunError: a field out of its range, or one that speaks of teachers where there are none.
    """
    idle = [field.name for field, _ in solver.ListFields() if field.name in FIELDS]
    if idle and not solver.teacher:
        raise RunError(f"{' and '.join(idle)} without a teacher; name one with --teacher, or leave it out")
    if not 0 <= solver.teacher_weight <= 1:
        raise RunError(f"teacher_weight is {solver.teacher_weight:g}; it has to be a part of the loss, from 0 to 1")
    if not solver.temperature > 0:
        raise RunError(f"temperature is {solver.temperature:g}; it has to be above 0")
    if solver.teacher_sees not in DISTILL_MODES:
        raise RunError(f'teacher_sees is "{solver.teacher_sees}"; it has to be one of: {", ".join(DISTILL_MODES)}')
    if solver.teacher_data and solver.teacher_sees == "batches":
        raise RunError("teachers that see the net's own batches need no --teacher-data; leave one of the two out")


def load_teachers(names: Sequence[str], sets: DataSetVariants) -> list[Model]:
    """Load the teachers, and make sure that they speak of the same classes and faces as the data sets.

    Args:
        names: of the models; one that is named twice is loaded once, and stands in the result twice.
        sets: the training's data set, and others with the same faces prepared as a teacher knows them.
    Raises:
        ModelError: there is no such model, or it is damaged.
        RunError: its classes or its faces are others.
    """
    found = {name: load_model(name) for name in names}
    for name, model in found.items():
        data = sets.matching(model.preprocessing)
        require_same(
            model.scheme,
            data.scheme,
            f"--teacher {name}: its label scheme is not that of {data.folder}",
            "use a teacher with the same label scheme",
            RunError,
        )
        if odd := model.preprocessing.diff(data.preprocessing):
            told = ", ".join(f"{field} {own} and not {ours}" for field, (own, ours) in odd.items())
            raise RunError(
                f"--teacher {name} was trained on faces prepared otherwise than those of {data.folder} ({told}); "
                "a teacher has to know this kind of face: build the same pictures its way and name them with "
                "--teacher-data"
            )
    return [found[name] for name in names]


def teacher_probabilities(
    teachers: Sequence[Model],
    variants: DataSetVariants,
    splits: Sequence[str],
    temperature: float,
    device: torch.device,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Return what the teachers say of whole faces, in four views.

    Args:
        teachers: each crops and normalises in its own way.
        variants: Data sets of the training; each teacher gets the variant with its own preprocessing.
        splits: Training splits.
        temperature: flattens the probabilities.
        device: where the teachers run.
        precision: what they compute in.
    Returns:
        (N, classes) float32 on that device; rows sum to 1.
    """
    total = sum(
        count * _probabilities(model, variants, splits, device, precision).astype(np.float64)
        for model, count in _counted(teachers)
    )
    return apply_temperature(torch.from_numpy(np.asarray(total / len(teachers), dtype=np.float32)), temperature).to(
        device
    )


def _counted(teachers: Sequence[Model]) -> list[tuple[Model, int]]:
    """Return every teacher with how often it counts: who counts twice is asked once."""
    counts = Counter(map(id, teachers))
    return [(model, counts[key]) for key, model in {id(model): model for model in teachers}.items()]


def _probabilities(
    model: Model, variants: DataSetVariants, splits: Sequence[str], device: torch.device, precision: torch.dtype
) -> NDArray[np.float32]:
    classifier = Classifier(model, device, precision)
    images = (variants.images_for(model.preprocessing, split) for split in splits)
    return np.concatenate([classifier.probabilities(part, VIEWS) for part in images])


def apply_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return the softmax of scores divided by the temperature, from the softmax of the scores.

    Args:
        probabilities: (N, classes).
        temperature: above 0.
    """
    return torch.softmax(probabilities.clamp(min=1e-12).log() / temperature, dim=1)


class OnlineTeachers:
    """Teachers that look at the augmented faces of every batch."""

    def __init__(
        self,
        teachers: Sequence[Model],
        plan: recipe.Recipe,
        mean: np.ndarray | None,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Make them ready.

        Raises:
            RunError: one of them takes another input than the net of the plan.
        """
        for model in teachers:
            _check_input(model, plan, mean)
        self.classifiers = [(Classifier(model, device, precision), count) for model, count in _counted(teachers)]
        self.total = len(teachers)
        self.temperature = plan.solver.temperature

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Tensor:
        """Return (N, classes) probabilities for (N, C, H, W) transformed faces."""
        probabilities = [count * classifier.forward(faces) for classifier, count in self.classifiers]
        return apply_temperature(torch.stack(probabilities).sum(dim=0) / self.total, self.temperature)


def _check_input(model: Model, plan: recipe.Recipe, mean: np.ndarray | None) -> None:
    own = pl.parse_transform(model.transform_prototxt)
    ours = pl.TransformationParameter()
    ours.CopyFrom(pl.data_layer(plan.net, "TEST").transform_param)
    ours.ClearField("mean_file")
    same_mean = (model.mean is None and mean is None) or (
        model.mean is not None and mean is not None and np.array_equal(model.mean, mean)
    )
    if own != ours or not same_mean:
        raise RunError(
            f'the teacher {model.name} takes another input ("{_line(own)}") than this net ("{_line(ours)}")'
            f"{'' if same_mean else ', and another mean'}; use --distill-mode offline"
        )


def _line(message: pl.TransformationParameter) -> str:
    return " ".join(pl.to_text(message).split())


def add_distillation_loss(net: pl.NetParameter, solver: pl.SolverParameter) -> pl.NetParameter:
    """Return a copy of a net whose losses compare with teachers as well.

    Each SoftmaxWithLoss gives part of its weight to a second one, which reads the data layer's new top.

    Args:
        net: the train_val net.
        solver: reads teacher_weight and temperature.
    Raises:
        RunError: the net has no SoftmaxWithLoss.
    """
    copy = pl.NetParameter()
    copy.CopyFrom(net)
    losses = softmax_losses(copy)  # before the copy grows
    pl.data_layer(copy, "TRAIN").top.append(TOP)
    for loss in losses:
        whole = loss.loss_weight[0] if loss.loss_weight else 1.0
        _add_second_loss(copy, loss, whole * solver.teacher_weight * solver.temperature**2, solver.temperature)
        loss.loss_weight[:] = [whole * (1 - solver.teacher_weight)]
    return copy


def _add_second_loss(net: pl.NetParameter, loss: pl.LayerParameter, weight: float, temperature: float) -> None:
    cooled = net.layer.add(name=f"{loss.name}/cooled", type="Power", bottom=[loss.bottom[0]])
    cooled.top.append(cooled.name)
    cooled.power_param.scale = 1 / temperature
    second = net.layer.add(name=f"{loss.name}/{TOP}", type="SoftmaxWithLoss", bottom=[cooled.name, TOP])
    second.top.append(second.name)
    second.loss_weight.append(weight)
    second.loss_param.soft_label = True
    for layer in (cooled, second):
        layer.include.add(phase="TRAIN")
