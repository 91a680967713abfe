"""Accuracy on FER+ under the rules of published results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources.ferplus import protocols
from fer_lmdb.evaluation.metrics import wilson_interval
from fer_lmdb.labels import FERPLUS

RULES = {
    "majority without contempt": "one of seven expressions has more than half of the agreed votes",
    "majority": "one of eight expressions has more than half of the agreed votes",
    "argmax": "no other answer has more votes than an expression",
    "all": "somebody saw an expression",
}


def compute_ferplus_metrics(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], votes: NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """Compute the accuracy under each rule that published FER+ results use.

    Args:
        probabilities: (N, 8).
        labels: (N,) expression with the most votes.
        votes: (N, 10).

    Returns:
        n, accuracy, ci95 and the condition ("faces") by rule. The 3,137 faces of the literature are those of "majority
        without contempt".
    """
    hits = probabilities.argmax(axis=1) == labels
    masks = protocols(votes)
    masks = {"majority without contempt": masks["majority"] & (labels != FERPLUS.classes.index("contempt")), **masks}
    return {
        rule: {
            "n": int(mask.sum()),
            "accuracy": float(hits[mask].mean()),
            "ci95": wilson_interval(int(hits[mask].sum()), int(mask.sum())),
            "faces": RULES[rule],
        }
        for rule, mask in masks.items()
        if mask.any()
    }
