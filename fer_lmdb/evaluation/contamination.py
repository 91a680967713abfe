"""Contamination check: whether a model, or the model that it was initialized from, was trained on a split."""

from __future__ import annotations

from collections.abc import Iterator

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.models.metadata import ModelMetadata


def training_splits(metadata: ModelMetadata) -> dict[str, list[str]]:
    """Return the splits that a model was trained on, including those of the model that it was initialized from.

    Args:
        metadata: Metadata of the model.

    Returns:
        Split names by SHA-256 of the source; empty if the metadata do not contain them.
    """
    inherited = metadata.init.get("trained_on")
    known = {digest: set(splits) for digest, splits in (inherited if isinstance(inherited, dict) else {}).items()}
    for digest in _digests(metadata.data.get("source")):
        known.setdefault(digest, set()).update(metadata.train_splits)
    return {digest: sorted(splits) for digest, splits in known.items()}


def was_trained_on(metadata: ModelMetadata, data: DataSet, split: str) -> bool:
    """Tell whether a model was trained on a split of a data set, with any preprocessing."""
    known = training_splits(metadata)
    return any(split in known.get(digest, ()) for digest in _digests(data.fingerprint()["source"]))


def _digests(source: object) -> Iterator[str]:
    """Yield the digest of a source and of the sources it was joined from."""
    if not isinstance(source, dict):
        return
    if "sha256" in source:
        yield str(source["sha256"])
    joined = source.get("joined")
    for part in joined if isinstance(joined, list) else []:
        yield from _digests(part.get("source") if isinstance(part, dict) else None)
