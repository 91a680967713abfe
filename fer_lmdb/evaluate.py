"""Models on a split: figures with N, split and interval; several models are an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_lmdb import ensemble, lineage, models, votes
from fer_lmdb.dataset import SPLITS, DataSet
from fer_lmdb.device import choose_device
from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.labels import FERPLUS, difference
from fer_lmdb.mcnemar import compare
from fer_lmdb.measures import measure
from fer_lmdb.models import Model
from fer_lmdb.narrowing import narrow, target_scheme
from fer_lmdb.precision import choose_precision
from fer_lmdb.preparations import Faces, Look, Preparations
from fer_lmdb.readings import readings
from fer_lmdb.runs import RunFolder, iteration_of

WARNINGS = ("prepared_otherwise", "learnt_from_them")
"""What figures say where they are not a model's own, or flatter it."""


@dataclass(frozen=True)
class View:
    """How models look at faces.

    Attributes:
        tta: views averaged per face, 1, 2, 4 or 10.
        device: auto, cpu or cuda.
        precision: float32, bfloat16, or auto for the faster one.
    """

    tta: int = 1
    device: str = "auto"
    precision: str = "float32"

    def probabilities(self, members: Sequence[Model], faces: Faces) -> NDArray[np.float32]:
        """Return (M, N, classes) float32."""
        device = choose_device(self.device)
        precision = choose_precision(self.precision, device)
        votes = [faces.ask(member, self._look(member, device, precision)) for member in members]
        return np.stack(votes)

    def _look(self, member: Model, device: torch.device, precision: torch.dtype) -> Look:
        def look(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            _check_size(member, images)
            return member.classifier(device, precision).probabilities(images, self.tta)

        return look


def evaluate(
    names: Sequence[str | Path],
    data: str | Path | Sequence[str | Path],
    split: str = "val",
    tta: int = 1,
    device: str = "auto",
    *,
    weights: Sequence[float] | None = None,
    fit_on: str | None = None,
    against: Sequence[str | Path] = (),
    classes: str | None = None,
    explain: bool = False,
    precision: str = "float32",
) -> dict[str, Any]:
    """Measure one model, or the averaged probabilities of several.

    Args:
        names: shipped names, model files, run folders, or folders of models.
        data: a data set folder, or several with the same faces prepared in different ways: every model looks at
            those of its own kind, and the first one's are counted.
        split: train, val or test.
        tta: views averaged per face, 1, 2, 4 or 10.
        device: auto, cpu or cuda.
        weights: of the ensemble's members; None for all alike.
        fit_on: the split that the weights are fitted on, "val"; None where they are not.
        against: another model or ensemble, compared by McNemar's test.
        classes: count FER2013's seven classes by this scheme, merged or without-disgust; None as they are.
        explain: read the accuracies of single batches as well.
        precision: float32, bfloat16, or auto for the faster one.
    Returns:
        the figures of `measures.measure` with models, iterations (after which each was taken from its training, None
        where it does not say), split, classes, tta, precision, data and data_sha256 (of the split's faces in the
        first data set), other_data where more were named; weights and fitted_on of an ensemble; learnt_from_them, the
        models that know the split's faces from their training, so that the figures flatter them, where there are any;
        prepared_otherwise where models looked at another kind of face than they know; protocols where the faces
        carry FER+'s votes; comparison and readings where they are asked for.
        Every run that took part has them appended to its figures.jsonl.
    Raises:
        ModelError: a model is missing, the models' labels differ, the weights are none, or some of the models learnt
            from the faces that weights would be fitted on.
        DataSetError: the split is missing, its labels or face size are not the model's, or weights would be fitted
            on the test split.
    """
    _check_splits(split, fit_on)
    names = ensemble.expand(names)
    members = ensemble.load(names)
    others_names = ensemble.expand(against) if against else []
    rivals = ensemble.load(others_names) if against else []
    sets = Preparations.open([data] if isinstance(data, str | Path) else data)
    dataset, view = sets.first, View(tta, device, precision)
    check_labels(names, members, dataset)
    check_labels(others_names, rivals, dataset)
    faces = sets.read(split)
    each = view.probabilities(members, faces)
    if fit_on is not None:
        _check_fair(names, members, dataset, fit_on)
        weights = _fitted_weights(members, sets, view, fit_on, each if fit_on == split else None)
    figures, right = figures_of(names, members, ensemble.combine(each, weights), faces, view, classes)
    if len(names) > 1:
        figures |= {"weights": list(weights or [1 / len(names)] * len(names)), "fitted_on": fit_on}
    if rivals:
        probabilities = ensemble.combine(view.probabilities(rivals, faces))
        others, other_right = figures_of(others_names, rivals, probabilities, faces, view, classes)
        record(others)  # these go on record as well
        figures["comparison"] = {key: others[key] for key in ("models", "accuracy", "ci95")} | compare(
            right, other_right
        )
    record(figures)
    return figures | ({"readings": readings(right)} if explain else {})


def _check_splits(split: str, fit_on: str | None) -> None:
    if split not in SPLITS:
        raise DataSetError(f'split "{split}" does not exist; there are: {", ".join(SPLITS)}')
    if fit_on not in (None, "train", "val"):
        raise DataSetError(
            f'weights are never fitted on "{fit_on}": a figure on the faces that chose them would mean nothing; use val'
        )


def figures_of(
    names: Sequence[str],
    members: Sequence[Model],
    probabilities: NDArray[np.float32],
    faces: Faces,
    view: View,
    classes: str | None,
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Return the figures, and for every face that counts whether it was recognised."""
    dataset, split = faces.preparations.first, faces.split
    scheme, labels = dataset.scheme, faces.counted.labels
    if classes is not None:
        scheme = target_scheme(classes, scheme)
        probabilities, labels = narrow(probabilities, labels, scheme)
    figures = {
        "models": list(names),
        "iterations": [iteration_of(member.facts) for member in members],
        "split": split,
        "tta": view.tta,
        "precision": str(choose_precision(view.precision, choose_device(view.device))).removeprefix("torch."),
        "classes": list(scheme.classes),
        "data": str(dataset.folder),
        "data_sha256": dataset.facts()["sha256"][split],
        **measure(probabilities, labels, scheme.classes),
    }
    if others := faces.preparations.sets[1:]:
        figures["other_data"] = [str(other.folder) for other in others]
    if odd := _prepared_otherwise(names, members, faces.preparations):
        figures["prepared_otherwise"] = odd
    if known := _learnt_from_them(names, members, dataset, split):
        figures["learnt_from_them"] = known
    if classes is not None:
        figures["counted_as"] = classes
    if votes.has_votes(dataset, split) and difference(scheme, FERPLUS) is None:
        figures["protocols"] = votes.figures(probabilities, labels, votes.read(dataset, split))
    return figures, probabilities.argmax(axis=1) == labels


def _learnt_from_them(names: Sequence[str], members: Sequence[Model], dataset: DataSet, split: str) -> list[str]:
    return [name for name, member in zip(names, members, strict=True) if lineage.knows(member.facts, dataset, split)]


def _check_fair(names: Sequence[str], members: Sequence[Model], dataset: DataSet, fit_on: str) -> None:
    """Refuse to fit weights where they would go to who knows the faces by heart."""
    known = _learnt_from_them(names, members, dataset, fit_on)
    if known and len(known) < len(names):
        raise ModelError(
            f"{', '.join(known)} learnt from {fit_on}: weights fitted on it would prefer them for that; "
            "leave them out, or choose --weights"
        )


def _fitted_weights(
    members: Sequence[Model], sets: Preparations, view: View, fit_on: str, known: NDArray[np.float32] | None
) -> list[float]:
    faces = sets.read(fit_on)
    return ensemble.fit(view.probabilities(members, faces) if known is None else known, faces.counted.labels)


def record(figures: dict[str, Any]) -> None:
    """Append an evaluation to the record of every run that took part: a test split is opened in writing."""
    for folder in {run.path: run for name in figures["models"] if (run := _run_of(name))}.values():
        folder.add_figures(figures)


def _run_of(name: str) -> RunFolder | None:
    """Return the run that a model lies in; None for shipped models and files elsewhere."""
    path = models.find(name)
    for folder in (path.parent, path.parent.parent):
        if (run := RunFolder(folder)).config.is_file():
            return run
    return None


def _prepared_otherwise(
    names: Sequence[str], members: Sequence[Model], sets: Preparations
) -> dict[str, dict[str, list[Any]]]:
    """Return the models that looked at another kind of face than theirs, with what differs: theirs and what it was."""
    odd = {}
    for name, member in zip(names, members, strict=True):
        if fields := member.preprocessing.differences(sets.suited_to(member).preprocessing):
            odd[name] = {field: list(pair) for field, pair in fields.items()}
    return odd


def check_labels(names: Sequence[str], members: Sequence[Model], dataset: DataSet) -> None:
    """Refuse models whose labels are not those of a data set; they are all alike, see `ensemble.load`.

    Raises:
        DataSetError: the message says what differs.
    """
    if members and (why := difference(members[0].scheme, dataset.scheme)):
        raise DataSetError(
            f"the model {names[0]} and the data set {dataset.folder} have {why}; figures across schemes mean nothing - "
            f"build the data set with the model's scheme (--classes {members[0].scheme.name})"
        )


def _check_size(member: Model, images: np.ndarray) -> None:
    if member.mean is not None and member.mean.shape[1:] != images.shape[2:]:
        found = " x ".join(map(str, images.shape[2:]))
        expected = " x ".join(map(str, member.mean.shape[1:]))
        raise DataSetError(
            f"the faces are {found}, the model {member.name} was trained on {expected}; build with --size"
        )
