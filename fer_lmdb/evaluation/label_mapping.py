"""FER2013's seven classes counted as six, without another model: what a model of seven says of the smaller schemes.

merged adds the probabilities of anger and disgust; without-disgust leaves the faces of disgust out and shares its
probability among the other classes in proportion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import DataSetError
from fer_lmdb.labels import FER2013, SCHEMES, LabelScheme, require_same


def target_scheme(name: str, scheme: LabelScheme) -> LabelScheme:
    """Return the scheme to count by.

    Args:
        name: how it is called.
        scheme: what the models and the data set speak.
    Raises:
        DataSetError: the one cannot be had from the other.
    """
    target = SCHEMES.get(name)
    if target is None or target.fer2013 is None:
        known = ", ".join(known for known, scheme in SCHEMES.items() if scheme.fer2013)
        raise DataSetError(f'labels cannot be counted as "{name}"; those of fer2013 can be as: {known}')
    require_same(
        scheme,
        FER2013,
        f"only labels of fer2013 can be mapped to {name}",
        "omit --label-scheme or use a data set with FER2013's classes",
    )
    return target


def map_to_scheme(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], target: LabelScheme
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Count by a smaller scheme.

    Args:
        probabilities: (N, 7) in FER2013's order.
        labels: (N,) in FER2013's order.
        target: the scheme to count by.
    Returns:
        (M, C) probabilities and (M,) labels of the faces that the scheme has a class for.
    """
    mapping = target.fer2013 or ()
    counted = np.zeros((len(labels), len(target)), dtype=np.float64)
    for old, new in enumerate(mapping):
        if new is not None:
            counted[:, new] += probabilities[:, old]
    counted /= np.maximum(counted.sum(axis=1, keepdims=True), 1e-12)
    new_labels = np.array([-1 if new is None else new for new in mapping])[labels]
    kept = new_labels >= 0
    return counted[kept].astype(np.float32), new_labels[kept]
