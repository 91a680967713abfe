"""Classes that a user or a run states for databases without a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_lmdb.labels.orders import LabelOrder, read_labels
from fer_lmdb.labels.schemes import FER2013, FERPLUS, SCHEMES, LabelScheme


def scheme_of(labels: str | LabelOrder | LabelScheme) -> LabelScheme:
    """Return the scheme of class names in label order.

    Args:
        labels: A scheme, its name, or what `read_labels` accepts or returns.

    Raises:
        SourceError: If the names cannot be read, or their numbers have gaps.
    """
    if isinstance(labels, LabelScheme):
        return labels
    if isinstance(labels, str) and labels in SCHEMES:
        return SCHEMES[labels]
    classes = (read_labels(labels) if isinstance(labels, str) else labels).classes()
    known = [scheme for scheme in (FER2013, FERPLUS) if scheme.classes == classes]
    return known[0] if known else LabelScheme("custom", classes)


def recorded_labels(config: Mapping[str, Any]) -> LabelScheme | None:
    """Return the classes that run.json records for databases without a manifest; None for any other run."""
    labels = config.get("labels")
    return LabelScheme(labels["scheme"], tuple(labels["classes"])) if isinstance(labels, dict) else None
