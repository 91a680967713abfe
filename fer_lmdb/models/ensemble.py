"""Several models as one: which they are, and how much each of them says.

The probabilities of the members are averaged, evenly or with weights. Weights are fitted on validation; on the faces
that a figure is measured on they would flatter it, and so the test split is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ModelError
from fer_lmdb.labels import require_same
from fer_lmdb.models import model
from fer_lmdb.models.classifier import check_finite
from fer_lmdb.models.model import Model

EM_ITERATIONS = 500


def resolve_members(names: Sequence[str | Path]) -> list[str]:
    """Replace folders of models by what they hold, in the order of the names.

    A folder of models is no run: it holds .safetensors files, as a run's kept/ does, or else runs.

    Raises:
        ModelError: no name is left.
    """
    found = [member for name in names for member in _members(name)]
    if not found:
        raise ModelError("no model is named; name at least one")
    return found


def _members(name: str | Path) -> list[str]:
    folder = Path(name)
    if not folder.is_dir() or (folder / "run.json").is_file() or (folder / "best.safetensors").is_file():
        return [str(name)]
    files = sorted(folder.glob("*.safetensors"))
    runs = sorted(path.parent for path in folder.glob("*/best.safetensors"))
    return [str(path) for path in files or runs] or [str(name)]


def load_ensemble(names: Sequence[str | Path]) -> list[Model]:
    """Load the members, and make sure that their labels mean the same.

    Raises:
        ModelError: a model is missing or damaged, or its labels are others than the first one's.
    """
    if not names:
        raise ModelError("no model is named; name at least one")
    members = [model.load_model(name) for name in names]
    for name, member in zip(names, members, strict=True):
        require_same(
            member.scheme,
            members[0].scheme,
            f"{name} and {names[0]} cannot be averaged",
            "combine models with the same label scheme",
            ModelError,
        )
    return members


def average_probabilities(
    probabilities: NDArray[np.floating], weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Average the members' probabilities.

    Args:
        probabilities: (M, N, C).
        weights: M numbers of 0 or more, of any sum; None for all alike.
    Returns:
        (N, C) float32; rows sum to 1.
    Raises:
        ModelError: the weights are not such numbers, or a probability is not finite.
    """
    _check_finite(probabilities)
    if weights is None:
        weights = [1.0] * len(probabilities)
    given = np.array(weights, dtype=np.float64)
    if len(given) != len(probabilities) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ModelError(f"weights {list(weights)}: expected {len(probabilities)} numbers of 0 or more, not all 0")
    return np.tensordot(given / given.sum(), probabilities, axes=1).astype(np.float32)


def fit_weights(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> list[float]:
    """Find the weights whose mixture gives the labels the highest likelihood.

    Expectation-maximisation: the likelihood of a mixture has one maximum, and no round lowers it.

    Args:
        probabilities: (M, N, C).
        labels: (N,).
    Returns:
        M weights; they sum to 1.
    Raises:
        ModelError: a probability is not finite.
    """
    _check_finite(probabilities)
    likely = np.maximum(probabilities[:, np.arange(len(labels)), labels].astype(np.float64), 1e-12)  # (M, N)
    weights = np.full(len(likely), 1 / len(likely))
    for _ in range(EM_ITERATIONS):
        joint = weights[:, None] * likely
        weights = (joint / joint.sum(axis=0)).mean(axis=1)
    return [float(weight) for weight in weights]


def _check_finite(probabilities: NDArray[np.floating]) -> None:
    """Refuse nan and infinity by the member that gives it: a mean would only show that one of them does."""
    for number, rows in enumerate(probabilities, start=1):
        alone = len(probabilities) == 1
        check_finite(rows, "the model" if alone else f"member {number} of the {len(probabilities)} models")
