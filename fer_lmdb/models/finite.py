"""Probabilities that are none: a net whose training has diverged gives nan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ModelError


def check_finite(probabilities: NDArray[np.floating], name: str = "the model") -> None:
    """Refuse what a net that has diverged gives.

    Args:
        probabilities: (N, C).
        name: who gives them.
    Raises:
        ModelError: one is nan or infinite.
    """
    odd = np.count_nonzero(~np.isfinite(probabilities).all(axis=1))
    if odd:
        raise ModelError(
            f"{name} gives nan for {odd} of {len(probabilities)} faces, expected probabilities; its training has "
            "diverged: train again with a lower --base-lr, or take another model"
        )
