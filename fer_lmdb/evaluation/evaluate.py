"""Models on a split: figures with N, split and interval; several models are an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data import ferplus
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.splits import SPLITS
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.evaluation import batch_accuracy, contamination
from fer_lmdb.evaluation.ferplus import compute_ferplus_metrics
from fer_lmdb.evaluation.label_mapping import map_to_scheme, target_scheme
from fer_lmdb.evaluation.metrics import compute_metrics
from fer_lmdb.evaluation.significance import mcnemar_test
from fer_lmdb.labels import FERPLUS, explain_mismatch, require_same
from fer_lmdb.models import ensemble, model
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import RunFolder, iteration_of
from fer_lmdb.runtime.device import resolve_device, resolve_dtype

CAVEAT_KEYS = ("preprocessing_mismatch", "trained_on_split")
"""What figures say where they are not a model's own, or flatter it."""


@dataclass(frozen=True)
class EvalOptions:
    """How models look at faces.

    Attributes:
        tta: views averaged per face, 1, 2, 4 or 10.
        device: auto, cpu or cuda.
        precision: float32, bfloat16, or auto for the faster one.
    """

    tta: int = 1
    device: str = "auto"
    precision: str = "float32"

    def probabilities(self, members: Sequence[Model], variants: DataSetVariants, split: str) -> NDArray[np.float32]:
        """Return (M, N, classes) float32."""
        device = resolve_device(self.device)
        precision = resolve_dtype(self.precision, device)
        each = []
        for member in members:
            images = variants.images_for(member.preprocessing, split)
            _check_size(member, images)
            each.append(Classifier(member, device, precision).probabilities(images, self.tta))
        return np.stack(each)


def evaluate(
    models: Sequence[str | Path],
    data: str | Path | Sequence[str | Path],
    split: str = "val",
    tta: int = 1,
    device: str = "auto",
    *,
    ensemble_weights: Sequence[float] | None = None,
    fit_weights_on: str | None = None,
    compare_to: Sequence[str | Path] = (),
    label_scheme: str | None = None,
    batch_accuracies: bool = False,
    precision: str = "float32",
) -> dict[str, Any]:
    """Measure one model, or the averaged probabilities of several.

    Args:
        models: shipped names, model files, run folders, or folders of models.
        data: a data set folder, or several with the same faces prepared in different ways: every model looks at
            those of its own kind, and the first one's are counted.
        split: train, val or test.
        tta: views averaged per face, 1, 2, 4 or 10.
        device: auto, cpu or cuda.
        ensemble_weights: of the ensemble's members; None for all alike.
        fit_weights_on: the split that the weights are fitted on, "val"; None where they are not.
        compare_to: another model or ensemble, compared by McNemar's test.
        label_scheme: count FER2013's seven classes by this scheme, merged or without-disgust; None as they are.
        batch_accuracies: read the accuracies of single batches as well.
        precision: float32, bfloat16, or auto for the faster one.
    Returns:
        the figures of `measures.compute_metrics` with models, iterations (after which each was taken from its
        training, None where it does not say), split, classes, tta, precision, data and data_sha256 (of the split's
        faces in the first data set), data_variants where more were named; weights and fitted_on of an ensemble;
        trained_on_split, the
        models that know the split's faces from their training, so that the figures flatter them, where there are any;
        preprocessing_mismatch where models looked at another kind of face than they know; protocols where the faces
        carry FER+'s votes; comparison and batch_accuracies where they are asked for.
        Every run that took part has them appended to its evaluations.jsonl.
    Raises:
        ModelError: a model is missing, the models' labels differ, the weights are none, or some of the models learnt
            from the faces that weights would be fitted on.
        DataSetError: the split is missing, its labels or face size are not the model's, or weights would be fitted
            on the test split.
    """
    _check_splits(split, fit_weights_on)
    models = ensemble.resolve_members(models)
    members = ensemble.load_ensemble(models)
    others_names = ensemble.resolve_members(compare_to) if compare_to else []
    rivals = ensemble.load_ensemble(others_names) if compare_to else []
    sets = DataSetVariants.open([data] if isinstance(data, str | Path) else data)
    dataset, options = sets.reference, EvalOptions(tta, device, precision)
    check_labels(models, members, dataset)
    check_labels(others_names, rivals, dataset)
    each = options.probabilities(members, sets, split)
    if fit_weights_on is not None:
        _check_not_trained_on(models, members, dataset, fit_weights_on)
        ensemble_weights = _fitted_weights(
            members, sets, options, fit_weights_on, each if fit_weights_on == split else None
        )
    result, right = compute_result(
        models, members, ensemble.average_probabilities(each, ensemble_weights), sets, split, options, label_scheme
    )
    if len(models) > 1:
        result |= {"weights": list(ensemble_weights or [1 / len(models)] * len(models)), "fitted_on": fit_weights_on}
    if rivals:
        probabilities = ensemble.average_probabilities(options.probabilities(rivals, sets, split))
        others, other_right = compute_result(others_names, rivals, probabilities, sets, split, options, label_scheme)
        log_evaluation(others)  # these go on record as well
        result["comparison"] = {key: others[key] for key in ("models", "accuracy", "ci95")} | mcnemar_test(
            right, other_right
        )
    log_evaluation(result)
    return result | ({"batch_accuracies": batch_accuracy.batch_accuracies(right)} if batch_accuracies else {})


def _check_splits(split: str, fit_on: str | None) -> None:
    if split not in SPLITS:
        raise DataSetError(f'split "{split}" does not exist; there are: {", ".join(SPLITS)}')
    if fit_on not in (None, "train", "val"):
        raise DataSetError(
            f'weights are never fitted on "{fit_on}": a figure on the faces that chose them would mean nothing; use val'
        )


def compute_result(
    names: Sequence[str],
    members: Sequence[Model],
    probabilities: NDArray[np.float32],
    variants: DataSetVariants,
    split: str,
    options: EvalOptions,
    classes: str | None,
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Return the figures, and for every face that counts whether it was recognised."""
    dataset = variants.reference
    scheme, labels = dataset.scheme, variants.read(split).labels
    if classes is not None:
        scheme = target_scheme(classes, scheme)
        probabilities, labels = map_to_scheme(probabilities, labels, scheme)
    result = {
        "models": list(names),
        "iterations": [iteration_of(member.metadata) for member in members],
        "split": split,
        "tta": options.tta,
        "precision": str(resolve_dtype(options.precision, resolve_device(options.device))).removeprefix("torch."),
        "classes": list(scheme.classes),
        "data": str(dataset.folder),
        "data_sha256": dataset.fingerprint()["sha256"][split],
        **compute_metrics(probabilities, labels, scheme.classes),
    }
    if others := variants.sets[1:]:
        result["data_variants"] = [str(other.folder) for other in others]
    if odd := _preprocessing_mismatches(names, members, variants):
        result["preprocessing_mismatch"] = odd
    if known := _models_trained_on(names, members, dataset, split):
        result["trained_on_split"] = known
    if classes is not None:
        result["label_scheme"] = classes
    if ferplus.has_votes(dataset, split) and explain_mismatch(scheme, FERPLUS) is None:
        result["protocols"] = compute_ferplus_metrics(probabilities, labels, ferplus.read(dataset, split))
    return result, probabilities.argmax(axis=1) == labels


def _models_trained_on(names: Sequence[str], members: Sequence[Model], dataset: DataSet, split: str) -> list[str]:
    return [
        name
        for name, member in zip(names, members, strict=True)
        if contamination.was_trained_on(member.metadata, dataset, split)
    ]


def _check_not_trained_on(names: Sequence[str], members: Sequence[Model], dataset: DataSet, fit_on: str) -> None:
    """Refuse to fit weights where they would go to who knows the faces by heart."""
    known = _models_trained_on(names, members, dataset, fit_on)
    if known and len(known) < len(names):
        raise ModelError(
            f"{', '.join(known)} learnt from {fit_on}: weights fitted on it would prefer them for that; "
            "leave them out, or choose --ensemble-weights"
        )


def _fitted_weights(
    members: Sequence[Model],
    sets: DataSetVariants,
    options: EvalOptions,
    fit_on: str,
    known: NDArray[np.float32] | None,
) -> list[float]:
    return ensemble.fit_weights(
        options.probabilities(members, sets, fit_on) if known is None else known, sets.read(fit_on).labels
    )


def log_evaluation(result: dict[str, Any]) -> None:
    """Append an evaluation to the record of every run that took part: a test split is opened in writing."""
    for folder in {run.path: run for name in result["models"] if (run := _run_of(name))}.values():
        folder.append_evaluation(result)


def _run_of(name: str) -> RunFolder | None:
    """Return the run that a model lies in; None for shipped models and files elsewhere."""
    path = model.resolve_model(name)
    for folder in (path.parent, path.parent.parent):
        if (run := RunFolder(folder)).config.is_file():
            return run
    return None


def _preprocessing_mismatches(
    names: Sequence[str], members: Sequence[Model], sets: DataSetVariants
) -> dict[str, dict[str, list[Any]]]:
    """Return the models that looked at another kind of face than theirs, with what differs: theirs and what it was."""
    odd = {}
    for name, member in zip(names, members, strict=True):
        if fields := member.preprocessing.diff(sets.matching(member.preprocessing).preprocessing):
            odd[name] = {field: list(pair) for field, pair in fields.items()}
    return odd


def check_labels(names: Sequence[str], members: Sequence[Model], dataset: DataSet) -> None:
    """Refuse models whose labels are not those of a data set; they are all alike, see `ensemble.load_ensemble`.

    Raises:
        DataSetError: the message says what differs.
    """
    if members:
        require_same(
            members[0].scheme,
            dataset.scheme,
            f"the label schemes of the model {names[0]} and the data set {dataset.folder} differ",
            "metrics of different label schemes are not comparable; "
            f"build the data set with --label-scheme {members[0].scheme.name}",
        )


def _check_size(member: Model, images: np.ndarray) -> None:
    if member.mean is not None and member.mean.shape[1:] != images.shape[2:]:
        found = " x ".join(map(str, images.shape[2:]))
        expected = " x ".join(map(str, member.mean.shape[1:]))
        raise DataSetError(
            f"the faces are {found}, the model {member.name} was trained on {expected}; build with --size"
        )
