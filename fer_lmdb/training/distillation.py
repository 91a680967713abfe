"""Knowledge distillation: teacher probabilities, offline for each stored face or online for each batch.

Solver field teacher_sees:
    faces    offline (default): every stored face once, in four TTA views, with each teacher's own transform. The result
             is cached in the run folder. A teacher with different preprocessing reads the same faces from a data set of
             `teacher_data`.
    batches  online: the augmented and mixed batches of the net. Costs a forward pass of the teachers per batch;
             teachers must have the net's input transform.

Source: Hinton et al., Distilling the knowledge in a neural network (arXiv 1503.02531); Beyer et al., Knowledge
    distillation: a good teacher is patient and consistent (arXiv 2106.05237)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.choices import DISTILL_MODES
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import RunError, one_line
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.tensors import save_tensors
from fer_lmdb.labels import require_same
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import TEACHER_FILE, RunFolder
from fer_lmdb.training.recipe import Recipe
from prototxt_like.io.datum_store import SplitArrays

TEACHER_FORMAT = "fer-lmdb teacher probabilities 1"
MAX_SUM_ERROR = 1e-3
TTA_VIEWS = 4
"""TTA views of offline teachers; better than ten crops, and cheaper (docs/experiments.md)."""
TEACHER_FIELDS = ("teacher_weight", "temperature", "teacher_sees", "teacher_data")


def validate_teachers(solver: pl.SolverParameter) -> None:
    """Check the distillation fields of a solver.

    Raises:
        RunError: If a field is out of range, or set without a teacher.
    """
    unused = [field.name for field, _ in solver.ListFields() if field.name in TEACHER_FIELDS]
    if unused and not solver.teacher:
        raise RunError(f"{' and '.join(unused)} set without a teacher; add --teacher MODEL or remove the setting")
    if not 0 <= solver.teacher_weight <= 1:
        raise RunError(f"teacher_weight is {solver.teacher_weight:g}; it must be in [0, 1]")
    if not solver.temperature > 0:
        raise RunError(f"temperature is {solver.temperature:g}; it must be above 0")
    if solver.teacher_sees not in DISTILL_MODES.values():
        raise RunError(f'teacher_sees is "{solver.teacher_sees}"; expected one of {", ".join(DISTILL_MODES.values())}')
    if solver.teacher_data and solver.teacher_sees == "batches":
        raise RunError("--teacher-data has no effect on online teachers; remove it or use --distill-mode offline")


def uses_offline_teachers(solver: pl.SolverParameter) -> bool:
    """Return whether teacher probabilities are computed before training."""
    return bool(solver.teacher) and solver.teacher_sees != "batches"


def load_teachers(names: Sequence[str], variants: DataSetVariants) -> list[Model]:
    """Load teachers and check that they fit the data set.

    Args:
        names: Models; a name may repeat to raise its weight and is loaded once.
        variants: Data set of the training run, and variants of it with other preprocessing.
    Returns:
        One model per name.
    Raises:
        ModelError: If a model is missing or damaged.
        RunError: If its label scheme or its preprocessing differs from the data set's.
    """
    loaded = {name: load_model(name) for name in names}
    for name, model in loaded.items():
        data = variants.matching(model.preprocessing)
        require_same(
            model.scheme,
            data.scheme,
            f"--teacher {name}: its label scheme is not that of {data.folder}",
            "use a teacher with the same label scheme",
            RunError,
        )
        if odd := model.preprocessing.diff(data.preprocessing):
            told = ", ".join(f"{field} {own}, not {ours}" for field, (own, ours) in odd.items())
            raise RunError(
                f"--teacher {name} was trained with different preprocessing than {data.folder} ({told}); "
                "build the same images with the teacher's settings and pass that data set with --teacher-data"
            )
    return [loaded[name] for name in names]


def cached_teacher_probabilities(
    recipe: Recipe,
    data: DataSet,
    run: RunFolder,
    parts: Mapping[str, SplitArrays],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Compute teacher probabilities for the training faces.

    They are cached in the run folder, so a resumed run does not load the teachers.

    Args:
        recipe: Recipe with the teachers.
        data: Data set of the run.
        run: Run folder.
        parts: Faces of the training splits by name.
        device: Device of the teachers.
        dtype: Compute dtype of the teachers.
    Returns:
        (N, classes) float32 on the CPU.
    Raises:
        ModelError: If a teacher is missing or damaged.
        RunError: If a teacher does not fit the data set.
        DataSetError: If a data set of teacher_data is missing or holds other faces.
    """
    solver, cache = recipe.solver, run.stored(TEACHER_FILE)
    if cache.exists():
        faces = sum(len(part.labels) for part in parts.values())
        return read_teacher_probabilities(cache, (faces, len(data.scheme)))
    variants = DataSetVariants.of([data, *map(DataSet.open, solver.teacher_data)], known=parts)
    teachers = load_teachers(solver.teacher, variants)
    probabilities = teacher_probabilities(teachers, variants, list(parts), solver.temperature, device, dtype)
    probabilities = probabilities.cpu()
    save_tensors(cache, {"teacher_probabilities": probabilities}, {"format": TEACHER_FORMAT})
    return probabilities


def read_teacher_probabilities(path: Path, shape: tuple[int, int]) -> Tensor:
    """Read cached teacher probabilities.

    Args:
        path: File in the run folder.
        shape: Number of training faces and of classes.

    Returns:
        (N, classes) float32; rows sum to 1.

    Raises:
        RunError: If the file is damaged, or of other faces or classes.
    """
    from fer_lmdb.artifacts.base import parse
    from fer_lmdb.artifacts.teachers import TeacherTexts

    name, remedy = printable_path(path), "delete it to compute the probabilities again"
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise RunError(f"{name}: damaged: {one_line(error)}; {remedy}") from None
    parse(TeacherTexts, {key: value for key, value in texts.items() if key == "format"}, name, RunError, remedy)
    found = [f"{tuple(each.shape)} {each.dtype}" for each in tensors]
    if found != [f"{shape} torch.float32"]:
        raise RunError(f"{name}: damaged: found {', '.join(found) or 'no tensor'}, expected {shape} float32; {remedy}")
    sums = tensors[0].sum(dim=1)
    if not ((tensors[0] >= 0).all() and ((sums - 1).abs() < MAX_SUM_ERROR).all()):
        raise RunError(f"{name}: damaged: found rows that are no probabilities, expected sums of 1; {remedy}")
    return tensors[0]


def teacher_probabilities(
    teachers: Sequence[Model],
    variants: DataSetVariants,
    splits: Sequence[str],
    temperature: float,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Average the probabilities of offline teachers over four TTA views.

    Args:
        teachers: Models; each one applies its own transform.
        variants: Data set of the run; each teacher gets the variant with its own preprocessing.
        splits: Training splits.
        temperature: Distillation temperature.
        device: Device of the teachers.
        dtype: Compute dtype of the teachers.
    Returns:
        (N, classes) float32 on the device; rows sum to 1.
    """
    total = sum(
        count * _probabilities(model, variants, splits, device, dtype).astype(np.float64)
        for model, count in count_models(teachers)
    )
    mean = torch.from_numpy(np.asarray(total / len(teachers), dtype=np.float32))
    return apply_temperature(mean, temperature).to(device)


def count_models(teachers: Sequence[Model]) -> list[tuple[Model, int]]:
    """Return each distinct teacher with its number of occurrences."""
    counts = Counter(map(id, teachers))
    return [(model, counts[key]) for key, model in {id(model): model for model in teachers}.items()]


def _probabilities(
    model: Model, variants: DataSetVariants, splits: Sequence[str], device: torch.device, dtype: torch.dtype
) -> NDArray[np.float32]:
    classifier = Classifier(model, device, dtype)
    images = (variants.images_for(model.preprocessing, split) for split in splits)
    return np.concatenate([classifier.probabilities(part, TTA_VIEWS) for part in images])


def apply_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Return the softmax of logits / temperature, given the softmax of the logits.

    Args:
        probabilities: (N, classes).
        temperature: Above 0.
    """
    return torch.softmax(probabilities.clamp(min=1e-12).log() / temperature, dim=1)
