"""Ensembles: loading the members, and averaging their probabilities with fixed or fitted weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ModelError
from fer_lmdb.labels import require_same
from fer_lmdb.models.calibration import check_temperature
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource, read_any_model, resolve_members, resolve_model

EM_ITERATIONS = 500


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        name: Name or path of the model as given.
        model: The loaded model.
        path: Its file; None for a model that was passed as an object.
    """

    name: str
    model: Model
    path: Path | None = None


def load_ensemble(sources: Sequence[Model | ModelSource]) -> list[Member]:
    """Load the members of an ensemble; folders of models are expanded.

    Raises:
        ModelError: If no model is given, a model is missing or damaged, or the label schemes differ.
    """
    if not sources:
        raise ModelError("no model given; pass at least one")
    members = [member for source in sources for member in _load_members(source)]
    for member in members[1:]:
        require_same(
            member.model.scheme,
            members[0].model.scheme,
            f"{member.name} and {members[0].name} cannot be averaged",
            "combine models with the same label scheme",
            ModelError,
        )
    return members


def _load_members(source: Model | ModelSource) -> list[Member]:
    if isinstance(source, str | os.PathLike):
        files = {name: resolve_model(name) for name in resolve_members([source])}
        return [Member(name, read_any_model(path), path) for name, path in files.items()]
    return [Member(source.name, source)]


def average_probabilities(
    probabilities: NDArray[np.floating], weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Average the probabilities of the members.

    Args:
        probabilities: (M, N, C).
        weights: M weights, 0 or more, of any sum; None weights all members equally.

    Returns:
        (N, C) float32; rows sum to 1.

    Raises:
        ModelError: If the number of weights differs from M, or a weight is negative, or all are 0.
    """
    check_weights(weights, len(probabilities))
    used = np.array([1.0] * len(probabilities) if weights is None else weights, dtype=np.float64)
    return np.tensordot(used / used.sum(), probabilities, axes=1).astype(np.float32)


def check_weights(weights: Sequence[float] | None, count: int) -> None:
    """Check ensemble weights.

    Args:
        weights: Weights, or None for equal ones.
        count: Number of members.

    Raises:
        ModelError: If their number differs from `count`, or a weight is negative, or all are 0.
    """
    if weights is None:
        return
    given = np.array(weights, dtype=np.float64)
    if len(given) != count or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ModelError(f"ensemble weights {list(weights)}: expected {count} numbers of 0 or more, not all 0")


def temperature_of(
    models: Sequence[Model], weights: Sequence[float] | None = None, temperature: float | None = None
) -> float:
    """Return the temperature of averaged probabilities; a single model is an ensemble of one.

    The members are averaged uncalibrated, so that accuracy does not depend on temperatures.

    Args:
        models: The members.
        weights: Ensemble weights; None weights all members equally.
        temperature: Temperature of the average; None returns the weighted geometric mean of the members' temperatures.

    Raises:
        ModelError: If the given temperature is not greater than 0.
    """
    check_temperature(temperature)
    if temperature is not None:
        return temperature
    temperatures = [model.metadata.temperature for model in models]
    if len(set(temperatures)) == 1:
        return temperatures[0]
    return float(np.exp(np.average(np.log(temperatures), weights=weights)))


def fit_weights(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> list[float]:
    """Return the ensemble weights of maximum likelihood, found by expectation-maximization.

    The likelihood of a mixture is concave in its weights, and no iteration decreases it.

    Args:
        probabilities: (M, N, C).
        labels: (N,).

    Returns:
        M weights that sum to 1.
    """
    likelihoods = np.maximum(probabilities[:, np.arange(len(labels)), labels].astype(np.float64), 1e-12)  # (M, N)
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(EM_ITERATIONS):
        joint = weights[:, None] * likelihoods
        weights = (joint / joint.sum(axis=0)).mean(axis=1)
    return [float(weight) for weight in weights]
