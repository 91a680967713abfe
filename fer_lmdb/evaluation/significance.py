"""McNemar's test: whether two classifiers differ significantly on the same faces.

Only faces count on which exactly one of them is correct. If both were equally accurate, each of the two would be the
correct one with probability 1/2. The p-value is the probability of a split at least as uneven as the observed one.
Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions, 1947
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

ALPHA = 0.05


def mcnemar_test(one_correct: NDArray[np.bool_], other_correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare two classifiers on the same faces by McNemar's exact test.

    Args:
        one_correct: (N,) whether the first classifier is correct.
        other_correct: (N,) whether the second classifier is correct.

    Returns:
        only_first and only_second: number of faces on which only that classifier is correct; difference: first minus
        second accuracy; p_value: two-sided; significant: whether it is below 5 %; test: name of the test.
    """
    first, second = int((one_correct & ~other_correct).sum()), int((other_correct & ~one_correct).sum())
    p_value = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return {
        "only_first": first,
        "only_second": second,
        "difference": (first - second) / len(one_correct),
        "p_value": p_value,
        "significant": p_value < ALPHA,
        "test": "McNemar, exact binomial, two-sided",
    }
