"""Metrics of predictions, with the reasons why they may not be those of the models on unseen faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data import ferplus
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.variants import DataSetVariants
from fer_lmdb.evaluation.contamination import was_trained_on
from fer_lmdb.evaluation.ferplus import compute_ferplus_metrics
from fer_lmdb.evaluation.label_mapping import map_to_scheme, target_scheme
from fer_lmdb.evaluation.metrics import compute_metrics
from fer_lmdb.evaluation.predictor import EnsemblePredictor
from fer_lmdb.evaluation.result import EvaluationResult
from fer_lmdb.labels import FERPLUS, explain_mismatch
from fer_lmdb.models.ensemble import Member
from prototxt_like.io.datum_store import key_name


def compute_result(
    members: Sequence[Member],
    probabilities: NDArray[np.float32],
    variants: DataSetVariants,
    split: str,
    predictor: EnsemblePredictor,
    label_scheme: str | None = None,
) -> EvaluationResult:
    """Compute the metrics of predictions.

    Args:
        members: Models that made the predictions.
        probabilities: (N, classes) for the faces of the reference data set.
        variants: Data sets of the predictions.
        split: "train", "val" or "test".
        predictor: Predictor of the probabilities.
        label_scheme: Scheme to map FER2013's seven classes to; None keeps the classes.
    """
    dataset, faces = variants.reference, variants.read(split)
    scheme, labels, kept = dataset.scheme, faces.labels, np.arange(len(faces.labels))
    if label_scheme is not None:
        scheme = target_scheme(label_scheme, scheme)
        probabilities, labels, kept = map_to_scheme(probabilities, labels, scheme)
    protocols = None
    if ferplus.has_votes(dataset, split) and explain_mismatch(scheme, FERPLUS) is None:
        protocols = compute_ferplus_metrics(probabilities, labels, ferplus.read(dataset, split))
    return EvaluationResult(
        models=[member.name for member in members],
        iterations=[member.model.metadata.iteration for member in members],
        split=split,
        tta=predictor.tta,
        precision=str(predictor.dtype).removeprefix("torch."),
        classes=list(scheme.classes),
        align=predictor.align,
        data=str(dataset.folder),
        data_sha256=dataset.fingerprint()["sha256"][split],
        **compute_metrics(probabilities, labels, scheme.classes),
        data_variants=[str(other.folder) for other in variants.sets[1:]] or None,
        preprocessing_mismatch=_preprocessing_mismatches(members, variants, predictor.align) or None,
        trained_on_split=names_trained_on(members, dataset, split) or None,
        label_scheme=label_scheme,
        protocols=protocols,
        probabilities=probabilities,
        labels=labels,
        names=[key_name(faces.keys[number]) for number in kept],
        files=[member.path for member in members],
    )


def names_trained_on(members: Sequence[Member], dataset: DataSet, split: str) -> list[str]:
    """Return the names of the models that were trained on a split of a data set."""
    return [member.name for member in members if was_trained_on(member.model.metadata, dataset, split)]


def _preprocessing_mismatches(
    members: Sequence[Member], variants: DataSetVariants, align: str | None
) -> dict[str, dict[str, list[Any]]]:
    """Return the models evaluated with other preprocessing than in training, with [training, evaluation] by setting."""
    odd = {}
    for member in members:
        preprocessing = member.model.preprocessing
        # With both, the other half of the faces differs by choice.
        used = variants.aligned(None if align == "both" else align, preprocessing)[0]
        if fields := preprocessing.diff(used.preprocessing):
            odd[member.name] = {field: list(pair) for field, pair in fields.items()}
    return odd
