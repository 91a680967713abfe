"""Class weights for unbalanced data.

    inverse       1 / n for a class with n faces: all classes contribute equally
    inverse_root  1 / sqrt(n): a milder correction
    a list        explicit weights in label order

Weights are scaled to a mean of 1 over the faces, so that the learning rate keeps its meaning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.errors import RunError

CLASS_WEIGHTINGS = {"inverse": 1.0, "inverse_root": 0.5}
"""Name -> exponent of the class frequency."""


def validate_class_weights(solver: pl.SolverParameter, classes: int) -> None:
    """Check class_weighting and class_weight.

    Raises:
        RunError: If the name is unknown, both fields are set, or the list does not fit the classes.
    """
    name, weights = solver.class_weighting, list(solver.class_weight)
    if name and name not in CLASS_WEIGHTINGS:
        raise RunError(f'class_weighting is "{name}"; expected one of {", ".join(CLASS_WEIGHTINGS)}')
    if not weights:
        return
    if name:
        raise RunError(f'the solver has both class_weighting "{name}" and class_weight; remove one of them')
    if len(weights) != classes:
        raise RunError(f"{len(weights)} class weights for {classes} classes; pass one per class, in label order")
    if min(weights) < 0 or max(weights) <= 0 or not np.isfinite(weights).all():
        raise RunError(f"class weights {weights}: all must be 0 or more, and at least one above 0")


def class_weights(solver: pl.SolverParameter, counts: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """Return the weight of each class, or None without class weights.

    Args:
        solver: Reads class_weighting and class_weight.
        counts: (C,) faces per class in the training splits.
    Returns:
        (C,) float32; the mean over the faces is 1.
    Raises:
        RunError: If the fields are invalid, or all classes with faces have a weight of 0.
    """
    validate_class_weights(solver, len(counts))
    if solver.class_weight:
        return _scale(np.array(solver.class_weight), counts)
    if not solver.class_weighting:
        return None
    # A class without faces has no frequency, and its weight is not used.
    return _scale(np.maximum(counts, 1.0) ** -CLASS_WEIGHTINGS[solver.class_weighting], counts)


def _scale(weights: NDArray[np.floating], counts: NDArray[np.floating]) -> NDArray[np.float32]:
    mean = (weights * counts).sum() / counts.sum()
    if not mean > 0:
        raise RunError("class weights are 0 for all classes that have faces; set at least one of them above 0")
    return (weights / mean).astype(np.float32)
