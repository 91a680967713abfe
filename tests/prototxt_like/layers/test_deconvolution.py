from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LAYER = "Deconvolution"


def test_equals_caffe(golden_case: Path, check_golden: Callable[[Path], None]) -> None:
    check_golden(golden_case)
