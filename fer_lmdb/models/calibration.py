"""Calibration: one temperature that divides the logits, so that probabilities are as high as accuracy warrants.

Guo et al., On calibration of modern neural networks, 2017. The order of the classes, and with it every prediction,
stays the same. A temperature below 1 raises the highest probability, one above 1 lowers it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ModelError

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Range of fitted temperatures."""
_TINY = 1e-30


def apply_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return the probabilities after a division of the logits by a temperature.

    Args:
        probabilities: (N, C); rows sum to 1.
        temperature: Temperature, greater than 0; 1 returns the probabilities unchanged.

    Returns:
        (N, C) float32; rows sum to 1.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities.astype(np.float64), _TINY)) / temperature
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), np.float32)


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature of the lowest log-loss, from 0.05 to 20.

    The log-loss is convex in 1 / temperature, so there is one minimum.

    Args:
        probabilities: (N, C) uncalibrated probabilities.
        labels: (N,), 0 to C - 1.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.maximum(probabilities.astype(np.float64), _TINY))
    rows = np.arange(len(labels))

    def loss(scale: float) -> float:
        return float(-log_softmax(scale * logits, axis=1)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=(1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE), method="bounded")
    return float(1 / found.x)


def check_temperature(temperature: float | None) -> None:
    """Check a temperature that was given instead of those of the models.

    Raises:
        ModelError: If it is not a finite number greater than 0.
    """
    if temperature is not None and not 0 < temperature < math.inf:
        raise ModelError(f"invalid temperature: found {temperature}, expected a number greater than 0")
