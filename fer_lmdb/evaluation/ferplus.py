"""Accuracy on FER+ under each of the rules by which results are published."""

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
    """Measure the accuracy under each rule by which figures on FER+ are published.

    Args:
        probabilities: (N, 8).
        labels: (N,) the expression with the most votes.
        votes: (N, 10).
    Returns:
        by rule: n, accuracy, ci95 and what counts. The literature's 3,137 faces are "majority without contempt".
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
