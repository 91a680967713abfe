"""Evaluate models and ensembles on a split of a data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation.batch_accuracy import batch_accuracies as accuracy_per_batch
from fer_lmdb.evaluation.compute import compute_result, names_trained_on
from fer_lmdb.evaluation.default_data import default_data
from fer_lmdb.evaluation.log import log_evaluation
from fer_lmdb.evaluation.options import DataSource, EvalOptions
from fer_lmdb.evaluation.predictor import EnsemblePredictor
from fer_lmdb.evaluation.result import EvaluationResult
from fer_lmdb.evaluation.significance import mcnemar_test
from fer_lmdb.labels import LabelScheme, require_same
from fer_lmdb.models.calibration import apply_temperature
from fer_lmdb.models.ensemble import (
    Member,
    average_probabilities,
    check_weights,
    fit_weights,
    load_ensemble,
    temperature_of,
)
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource


def evaluate(
    models: Model | ModelSource | Sequence[Model | ModelSource],
    data: DataSource | Sequence[DataSource] = (),
    split: str = "val",
    *,
    tta: int = 1,
    align: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    ensemble_weights: Sequence[float] | None = None,
    ensemble_temperature: float | None = None,
    fit_weights_on: str | None = None,
    compare_to: Model | ModelSource | Sequence[Model | ModelSource] = (),
    label_scheme: str | None = None,
    labels: str | None = None,
    batch_accuracies: bool = False,
    log: bool = True,
) -> EvaluationResult:
    """Evaluate a model, or the averaged probabilities of several.

    Args:
        models: A model or several, see `EvalOptions`.
        data: A data set, or several with the same faces preprocessed differently, see `EvalOptions`; by default the
            data set of the first model's run, or data/fer2013.
        split: "train", "val" or "test".
        tta: Number of TTA views averaged per face: 1, 2, 4 or 10.
        align: Data sets to use: "landmarks", "box" or "both", see `EvalOptions`.
        device: "auto", "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16", or "auto" for bfloat16 if the device supports it natively.
        ensemble_weights: Weight of each member, 0 or more, of any sum; None weights all members equally.
        ensemble_temperature: Temperature that calibrates the average, greater than 0; None uses the geometric mean of
            the models' temperatures, 1 evaluates uncalibrated probabilities.
        fit_weights_on: Split to fit the weights on: "val" or "train"; None uses `ensemble_weights`.
        compare_to: Another model or ensemble to compare with by McNemar's test.
        label_scheme: Scheme to map FER2013's seven classes to: "merged" or "without-disgust"; None keeps the classes.
        labels: Class names of databases without a manifest, see `DataSet.open`; None assumes those of the model.
        batch_accuracies: Whether to compute the accuracy of each batch of 100 faces.
        log: Whether to append the result to evaluations.jsonl of each run that a model belongs to. If a file cannot
            be written, a warning is issued.

    Raises:
        ModelError: If a model is missing or damaged, label schemes differ, the ensemble weights are invalid, or some of
            the models were trained on the split that the weights are fitted on.
        DataSetError: If a data set or split is missing or damaged, its label scheme or face size is not the model's, or
            weights would be fitted on the test split.
        OptionError: If an argument is out of range.
    """
    result = run_evaluation(
        EvalOptions(
            models=_as_list(models),
            data=_as_list(data),
            split=split,
            tta=tta,
            align=align,
            device=device,
            precision=precision,
            ensemble_weights=ensemble_weights,
            ensemble_temperature=ensemble_temperature,
            fit_weights_on=fit_weights_on,
            compare_to=_as_list(compare_to),
            label_scheme=label_scheme,
            labels=labels,
            batch_accuracies=batch_accuracies,
        )
    )
    for problem in log_evaluation(result) if log else []:
        warnings.warn(problem, stacklevel=2)
    return result


def run_evaluation(options: EvalOptions) -> EvaluationResult:
    """Evaluate without logging; see `evaluate`."""
    members = load_ensemble(options.models)
    others = load_ensemble(options.compare_to) if options.compare_to else []
    variants = _open_variants(options, members[0].model.scheme)
    for group in (members, others):
        check_labels(group, variants.reference)
    check_weights(options.ensemble_weights, len(members))
    if options.fit_weights_on is not None:
        _check_not_trained_on(members, variants.reference, options.fit_weights_on)
    predictor = EnsemblePredictor(options.tta, options.device, options.precision, options.align)
    rows = predictor.predict(members, variants, options.split)
    weights = _ensemble_weights(options, predictor, members, variants, rows)
    uncalibrated = average_probabilities(rows, weights)
    temperature = temperature_of([member.model for member in members], weights, options.ensemble_temperature)
    result = _calibrated_result(options, members, uncalibrated, temperature, variants, predictor)
    if len(members) > 1:
        equal = [1 / len(members)] * len(members)
        result = replace(result, weights=list(weights or equal), fitted_on=options.fit_weights_on)
    if others:
        uncalibrated = average_probabilities(predictor.predict(others, variants, options.split))
        temperature = temperature_of([other.model for other in others])
        compared = _calibrated_result(options, others, uncalibrated, temperature, variants, predictor)
        result = replace(result, compared=compared, comparison=_compare(result, compared))
    if options.batch_accuracies:
        result = replace(result, batch_accuracies=accuracy_per_batch(result.correct))
    return result


def _calibrated_result(
    options: EvalOptions,
    members: Sequence[Member],
    probabilities: NDArray[np.float32],
    temperature: float,
    variants: DataSetVariants,
    predictor: EnsemblePredictor,
) -> EvaluationResult:
    """Compute the metrics of averaged probabilities after the calibration, and what it changed."""

    def compute(calibrated: NDArray[np.float32]) -> EvaluationResult:
        return compute_result(members, calibrated, variants, options.split, predictor, options.label_scheme)

    if temperature == 1:
        return compute(probabilities)
    before = compute(probabilities)
    return replace(
        compute(apply_temperature(probabilities, temperature)),
        temperature=temperature,
        uncalibrated={"log_loss": before.log_loss, "ece": before.ece},
    )


def check_labels(members: Sequence[Member], dataset: DataSet) -> None:
    """Check that models and data set have the same label scheme; the members agree, see `load_ensemble`.

    Raises:
        DataSetError: If the label schemes differ.
    """
    for member in members[:1]:
        require_same(
            member.model.scheme,
            dataset.scheme,
            f"the label schemes of the model {member.name} and the data set {dataset.folder} differ",
            "metrics of different label schemes are not comparable; "
            f"build the data set with --label-scheme {member.model.scheme.name}",
        )


def _as_list(value: Any) -> list[Any]:
    single = isinstance(value, str | os.PathLike | Model | DataSet)
    return [value] if single else list(value)


def _open_variants(options: EvalOptions, assumed: LabelScheme) -> DataSetVariants:
    sources = options.data or [default_data(options.models[0])]
    return DataSetVariants.of(
        [
            source if isinstance(source, DataSet) else DataSet.open(source, options.labels, assumed)
            for source in map(_as_source, sources)
        ]
    )


def _as_source(source: DataSource) -> DataSet | str:
    return source if isinstance(source, DataSet) else os.fspath(source)


def _ensemble_weights(
    options: EvalOptions,
    predictor: EnsemblePredictor,
    members: Sequence[Member],
    variants: DataSetVariants,
    rows: NDArray[np.float32],
) -> Sequence[float] | None:
    fit_on = options.fit_weights_on
    if fit_on is None:
        return options.ensemble_weights
    known = rows if fit_on == options.split else predictor.predict(members, variants, fit_on)
    return fit_weights(known, variants.read(fit_on).labels)


def _compare(result: EvaluationResult, other: EvaluationResult) -> dict[str, Any]:
    own = {"models": other.models, "accuracy": other.accuracy, "ci95": other.ci95}
    return own | mcnemar_test(result.correct, other.correct)


def _check_not_trained_on(members: Sequence[Member], dataset: DataSet, fit_on: str) -> None:
    """Check that the weights would not favor models that were trained on the split."""
    known = names_trained_on(members, dataset, fit_on)
    if known and len(known) < len(members):
        raise ModelError(
            f"{', '.join(known)} {'was' if len(known) == 1 else 'were'} trained on {fit_on}, so weights fitted on it "
            "would be biased; exclude it or set --ensemble-weights"
        )
