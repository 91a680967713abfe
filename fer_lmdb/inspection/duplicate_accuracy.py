"""Accuracy of a model on faces with and without a near-duplicate in the training split."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DataSetError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.evaluation.log import log_evaluation


def evaluate_with_and_without(duplicated: Mapping[str, bool], model: str, data: Path, split: str) -> dict[str, Any]:
    """Evaluate a model on a split, separately for faces with and without a near-duplicate in the training split.

    Like every evaluation of a run, it is recorded in the run folder, uses of the test split included.

    Args:
        duplicated: For each face of the split, by name, whether it has a near-duplicate in the training split.
        model: Pretrained model, model file or run folder.
        data: Data set with the model's preprocessing.
        split: "val" or "test".

    Returns:
        ``model``, ``split``, ``n`` and ``accuracy`` of "all", "with_near_duplicate" and "without_near_duplicate", and
        the caveats of `evaluate`.

    Raises:
        DataSetError: If the split is missing or its names, labels or face size do not match.
        ModelError: If the model does not exist.
    """
    result = evaluate(model, data, split, log=False)
    if set(result.names) != set(duplicated):
        raise DataSetError(f"{data} and the audited data set contain different images; build both from one source")
    for problem in log_evaluation(result, by="duplicates audit"):
        warnings.warn(problem, stacklevel=2)
    has_duplicate, correct = np.array([duplicated[name] for name in result.names]), result.correct
    return {
        "model": model,
        "split": split,
        "all": accuracy_of(correct),
        "with_near_duplicate": accuracy_of(correct[has_duplicate]),
        "without_near_duplicate": accuracy_of(correct[~has_duplicate]),
        **result.caveats,
    }


def accuracy_of(correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the number of faces and the accuracy, None if there are no faces."""
    return {"n": len(correct), "accuracy": float(correct.mean()) if len(correct) else None}
