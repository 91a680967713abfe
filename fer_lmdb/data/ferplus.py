"""FER+ votes of a data set and the training targets derived from them.

Barsoum et al. (2016) train on the majority vote, on labels sampled from the votes in every epoch ("probability") and on
the distribution of the votes ("cross-entropy").

Source: E. Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label
    distribution, 2016
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import verify_sha256, votes_database
from fer_lmdb.data.sources.ferplus import protocols
from fer_lmdb.errors import DataSetError
from fer_lmdb.labels import FERPLUS, require_same
from prototxt_like.io import datum_store

_REMEDY = "build it with: --label-scheme ferplus --ferplus fer2013new.csv"


def has_votes(data: DataSet, split: str) -> bool:
    """Return whether the faces of a split have votes."""
    return "votes_file_sha256" in data.manifest["splits"].get(split, {})


def read(data: DataSet, split: str) -> NDArray[np.float32]:
    """Read the votes of a split, in the order of its faces.

    Returns:
        (N, 10) float32: eight expressions in FER+'s order, unknown, no face.

    Raises:
        DataSetError: If the data set has no votes or another label scheme, or the votes are damaged.
    """
    require_same(data.scheme, FERPLUS, f"{data.folder}: votes need FER+'s classes", _REMEDY)
    if not has_votes(data, split):
        raise DataSetError(f"{data.folder}: the {split} split has no votes; {_REMEDY}")
    path = votes_database(data.folder, split)
    verify_sha256(path / "data.mdb", data.manifest["splits"][split]["votes_file_sha256"])
    keys, votes = datum_store.read_votes(path)
    if len(keys) != data.count(split):
        raise DataSetError(
            f"{path}: found votes for {len(keys)} faces, expected {data.count(split)}; build the data set again"
        )
    return votes


def vote_distributions(votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert votes to a distribution over the eight expressions.

    Single votes are treated as mistakes and ignored, as are "unknown" and "no face".

    Args:
        votes: (N, 10) counts.

    Returns:
        (N, 8) float32; rows sum to 1, or to 0 for faces without two equal votes for an expression.
    """
    agreed = np.where(votes < 2, 0, votes)[:, : len(FERPLUS)]
    return (agreed / np.maximum(agreed.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def targets(votes: NDArray[np.float32], mode: str) -> NDArray[np.float32]:
    """Return the training targets of votes.

    Args:
        votes: (N, 10) counts.
        mode: "majority" for the expression with more than half of the votes; "probability" and "cross-entropy" for the
            distribution ("probability" samples from it during training).

    Returns:
        (N, 8) float32; all-zero rows are excluded from the loss.
    """
    distributions = vote_distributions(votes)
    if mode != "majority":
        return distributions
    one_hot = np.eye(len(FERPLUS), dtype=np.float32)[distributions.argmax(axis=1)]
    return one_hot * protocols(votes)["majority"][:, None]
