from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LAYER = "Composite"  # several layers wired together: branches, residuals, several losses, shared parameters


def test_equals_caffe(golden_case: Path, check_golden: Callable[[Path], None]) -> None:
    check_golden(golden_case)
