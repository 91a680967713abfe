"""Mapping of predictions from FER2013's seven classes to six.

merged adds the probability of disgust to anger. without-disgust drops the faces labeled disgust and renormalizes the
remaining probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DataSetError
from fer_lmdb.labels import FER2013, SCHEMES, LabelScheme, require_same


def target_scheme(name: str, scheme: LabelScheme) -> LabelScheme:
    """Return the label scheme to map to.

    Args:
        name: Name of the target scheme.
        scheme: Label scheme of the models and the data set.

    Raises:
        DataSetError: If `scheme` cannot be mapped to the target.
    """
    target = SCHEMES.get(name)
    if target is None or target.fer2013 is None:
        known = ", ".join(known for known, scheme in SCHEMES.items() if scheme.fer2013)
        raise DataSetError(f'labels cannot be mapped to "{name}"; use one of {known}')
    require_same(scheme, FER2013, f"only fer2013 labels can be mapped to {name}", "remove --label-scheme")
    return target


def map_to_scheme(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], target: LabelScheme
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.intp]]:
    """Map probabilities and labels to a smaller scheme.

    Args:
        probabilities: (N, 7) in FER2013's order.
        labels: (N,) in FER2013's order.
        target: Label scheme to map to.

    Returns:
        (M, C) probabilities, (M,) labels and (M,) positions of the faces whose class is in the target scheme.
    """
    mapping = target.fer2013 or ()
    mapped = np.zeros((len(labels), len(target)), dtype=np.float64)
    for old, new in enumerate(mapping):
        if new is not None:
            mapped[:, new] += probabilities[:, old]
    mapped /= np.maximum(mapped.sum(axis=1, keepdims=True), 1e-12)
    new_labels = np.array([-1 if new is None else new for new in mapping])[labels]
    kept = np.flatnonzero(new_labels >= 0)
    return mapped[kept].astype(np.float32), new_labels[kept], kept
