"""How much a face counts by its class, so that rare expressions are not forgotten.

    inverse       1 / n of its class: every class weighs the same in an epoch
    inverse_root  1 / sqrt(n): half of the way there
    a list        as given, in label order

All are scaled so that the mean weight of a face is 1: the loss, and with it the rate, keeps its size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.errors import RunError

CLASS_WEIGHTINGS = {"inverse": 1.0, "inverse_root": 0.5}


def class_weights(solver: pl.SolverParameter, counts: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """Return the weight of every class; None where all faces count alike.

    Args:
        solver: reads class_weighting and class_weight.
        counts: (C,) faces of every class in the training.
    Returns:
        (C,) float32; the mean over the faces is 1.
    Raises:
        RunError: an unknown name, a list of another length, or weights that leave nothing to learn.
    """
    if solver.class_weight:
        return _scaled(_given(list(solver.class_weight), solver.class_weighting, len(counts)), counts)
    if not solver.class_weighting:
        return None
    if solver.class_weighting not in CLASS_WEIGHTINGS:
        raise RunError(
            f'class_weighting is "{solver.class_weighting}"; it has to be one of: {", ".join(CLASS_WEIGHTINGS)}'
        )
    # A class without faces has no frequency; its weight is never asked for.
    return _scaled(np.maximum(counts, 1.0) ** -CLASS_WEIGHTINGS[solver.class_weighting], counts)


def _given(weights: list[float], name: str, classes: int) -> NDArray[np.float64]:
    if name:
        raise RunError(f'the solver has class_weighting "{name}" and a list of class_weight; keep one of them')
    if len(weights) != classes:
        raise RunError(f"{len(weights)} class weights for {classes} classes; give one for each, in label order")
    if min(weights) < 0 or max(weights) <= 0 or not np.isfinite(weights).all():
        raise RunError(f"class weights {weights}: each has to be 0 or more, and one of them above 0")
    return np.array(weights)


def _scaled(weights: NDArray[np.floating], counts: NDArray[np.floating]) -> NDArray[np.float32]:
    mean = (weights * counts).sum() / counts.sum()
    if not mean > 0:
        raise RunError("the class weights are 0 for every class that has faces; there is nothing to learn")
    return (weights / mean).astype(np.float32)
