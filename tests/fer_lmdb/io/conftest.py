"""Fixtures of the tests of io."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def colors() -> np.ndarray:
    """Return a smooth 20 x 30 image with four different corners."""
    rows, columns = np.mgrid[0:20, 0:30]
    return np.stack([rows * 12, columns * 8, 255 - rows * 6 - columns * 4], axis=2).astype(np.uint8)
