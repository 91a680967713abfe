"""Which faces a model knows already: it learnt from them, or the model that it began as did.

Figures on such faces flatter a model, and weights that are fitted on them prefer who knows them by heart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.renames import modernize


def training_splits(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a model learnt from.

    Args:
        metadata: the model's.
    Returns:
        the splits, by the SHA-256 of the source that was built; empty where the facts do not say.
    """
    init = modernize("model metadata, init", _table(metadata.get("init")))
    known = {digest: set(splits) for digest, splits in _table(init.get("trained_on")).items()}
    options = modernize("run.json, options", _table(_table(metadata.get("recipe")).get("options")))
    for digest in _digests(_table(metadata.get("data")).get("source")):
        known.setdefault(digest, set()).update(str(options.get("train_splits", "train")).split("+"))
    return {digest: sorted(splits) for digest, splits in known.items()}


def was_trained_on(metadata: Mapping[str, Any], data: DataSet, split: str) -> bool:
    """Tell whether a model learnt from a split of a data set, however its faces were prepared then."""
    known = training_splits(metadata)
    return any(split in known.get(digest, ()) for digest in _digests(data.fingerprint()["source"]))


def _digests(source: object) -> Iterator[str]:
    """Yield the digest of a source, and of those that it was joined from."""
    table = _table(source)
    if "sha256" in table:
        yield str(table["sha256"])
    for part in table.get("joined", []):
        yield from _digests(_table(part).get("source"))


def _table(value: object) -> dict[str, Any]:
    """Return facts of a file, which may lack them."""
    return value if isinstance(value, dict) else {}
