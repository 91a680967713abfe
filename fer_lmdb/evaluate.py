"""Models on a split: figures with N, split and interval; several models are an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_lmdb import models
from fer_lmdb.dataset import SPLITS, DataSet
from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.measures import measure
from fer_lmdb.models import Model
from fer_lmdb.precision import choose_device
from fer_lmdb.runs import RunFolder


def evaluate(
    names: Sequence[str | Path], data: str | Path, split: str = "val", tta: int = 1, device: str = "auto"
) -> dict[str, Any]:
    """Measure one model, or the averaged probabilities of several.

    Args:
        names: shipped names, model files or run folders.
        data: a data set folder.
        split: train, val or test.
        tta: views averaged per face, 1, 2 or 10.
        device: auto, cpu or cuda.
    Returns:
        the figures of `measures.measure` with models, split, classes, tta and data. Those of one run
        are also appended to its figures.jsonl.
    Raises:
        ModelError: a model is missing, or the models' classes differ.
        DataSetError: the split is missing, or its classes or face size are not the model's.
    """
    if split not in SPLITS:
        raise DataSetError(f'split "{split}" does not exist; there are: {", ".join(SPLITS)}')
    dataset = DataSet.open(data)
    members = [models.load(name) for name in names]
    _check_classes(members, dataset)
    faces = dataset.read(split)
    total = np.zeros((len(faces.labels), len(dataset.scheme)), dtype=np.float64)
    for member in members:
        _check_size(member, faces.images)
        total += member.classifier(choose_device(device)).probabilities(torch.from_numpy(faces.images), tta)
    probabilities = (total / len(members)).astype(np.float32)
    figures = {
        "models": [str(name) for name in names],
        "split": split,
        "tta": tta,
        "classes": list(dataset.scheme.classes),
        "data": str(data),
        **measure(probabilities, faces.labels, dataset.scheme.classes),
    }
    if len(names) == 1 and RunFolder(Path(names[0])).config.is_file():
        RunFolder(Path(names[0])).add_figures(figures)
    return figures


def _check_classes(members: Sequence[Model], dataset: DataSet) -> None:
    if not members:
        raise ModelError("no model to evaluate; name at least one")
    for member in members:
        if member.scheme.classes != dataset.scheme.classes:
            raise DataSetError(
                f"the model {member.name} knows the classes {', '.join(member.scheme.classes)}, the data set "
                f"{dataset.folder} has {', '.join(dataset.scheme.classes)}; figures across schemes mean nothing - "
                f"build the data set with the model's scheme ({member.scheme.name})"
            )


def _check_size(member: Model, images: np.ndarray) -> None:
    if member.mean is not None and member.mean.shape[1:] != images.shape[2:]:
        found = " x ".join(map(str, images.shape[2:]))
        expected = " x ".join(map(str, member.mean.shape[1:]))
        raise DataSetError(
            f"the faces are {found}, the model {member.name} was trained on {expected}; build with --size"
        )
