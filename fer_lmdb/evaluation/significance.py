"""Whether two classifiers differ by more than chance, from their answers to the same faces.

Only the faces count that one of them gets right and the other wrong. Were both equally good, each of these would be a
coin's toss; the p-value is the chance of a split as uneven as the one found, or more.
Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions, 1947
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

ALPHA = 0.05


def mcnemar_test(one_right: NDArray[np.bool_], other_right: NDArray[np.bool_]) -> dict[str, Any]:
    """Test two classifiers on the same faces (McNemar's test in its exact form).

    Args:
        one_right: (N,) whether the first was right.
        other_right: (N,) whether the second was.
    Returns:
        only_first and only_second: faces that one of them alone got right; difference of the accuracies, first minus
        second; p_value, two-sided; test and significant (at 5 %).
    """
    first, second = int((one_right & ~other_right).sum()), int((other_right & ~one_right).sum())
    p_value = float(binomtest(first, first + second).pvalue) if first + second else 1.0
    return {
        "only_first": first,
        "only_second": second,
        "difference": (first - second) / len(one_right),
        "p_value": p_value,
        "significant": p_value < ALPHA,
        "test": "McNemar, exact binomial, two-sided",
    }
