"""FER+'s votes of a data set: what a net learns from them, and which faces count.

E. Barsoum and others (2016) train on the majority, on labels drawn from the votes anew in every epoch ("probability")
and on the votes as a distribution ("cross-entropy").
Source: E. Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label
    distribution, 2016
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data import lmdb_store
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import verify_sha256, votes_database
from fer_lmdb.data.sources.ferplus import protocols
from fer_lmdb.errors import DataSetError
from fer_lmdb.labels import FERPLUS, explain_mismatch

SOFT_LABEL_MODES = ("majority", "probability", "cross-entropy")
_REMEDY = "build it with: --classes ferplus --ferplus fer2013new.csv"


def has_votes(data: DataSet, split: str) -> bool:
    """Tell whether the faces of a split carry votes."""
    return "votes_file_sha256" in data.manifest["splits"].get(split, {})


def read(data: DataSet, split: str) -> NDArray[np.float32]:
    """Read the votes of a split, in the order of its faces.

    Returns:
        (N, 10) float32: eight expressions in FER+'s order, unknown, no face.
    Raises:
        DataSetError: the data set carries none, or follows another label scheme, or they are damaged.
    """
    if why := explain_mismatch(data.scheme, FERPLUS):
        raise DataSetError(f"{data.folder}: votes are about FER+'s classes, the labels are not ({why}); {_REMEDY}")
    if not has_votes(data, split):
        raise DataSetError(f"{data.folder}: the {split} split carries no votes; {_REMEDY}")
    path = votes_database(data.folder, split)
    verify_sha256(path / "data.mdb", data.manifest["splits"][split]["votes_file_sha256"])
    keys, votes = lmdb_store.read_votes(path)
    if len(keys) != data.count(split):
        raise DataSetError(f"{path}: holds {len(keys)} votes for {data.count(split)} faces; build the data set again")
    return votes


def vote_distributions(votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn votes into shares of the eight expressions.

    Single votes are left out as slips, "unknown" and "no face" say nothing about expressions.

    Args:
        votes: (N, 10).
    Returns:
        (N, 8) float32; rows sum to 1, those of faces in which nobody agreed on an expression to 0.
    """
    agreed = np.where(votes < 2, 0, votes)[:, : len(FERPLUS)]
    return (agreed / np.maximum(agreed.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def targets(votes: NDArray[np.float32], mode: str) -> NDArray[np.float32]:
    """Turn votes into what a net is compared with.

    Args:
        votes: (N, 10).
        mode: "majority": the expression of more than half of the agreed votes; "probability" and "cross-entropy":
            the distribution, from which the former draws.
    Returns:
        (N, 8) float32; the row of a face that does not count is 0.
    """
    shares = vote_distributions(votes)
    if mode != "majority":
        return shares
    single = np.eye(len(FERPLUS), dtype=np.float32)[shares.argmax(axis=1)]
    return single * protocols(votes)["majority"][:, None]
