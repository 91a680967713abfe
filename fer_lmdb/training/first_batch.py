"""The first transformed batch of a run, stored so that a report shows what the net saw."""

from __future__ import annotations

from torch import Tensor

from fer_lmdb.io.tensors import save_tensors
from fer_lmdb.models.run_folder import FIRST_BATCH, RunFolder

MAX_FACES = 64


def save_first_batch(run: RunFolder, faces: Tensor, targets: Tensor) -> None:
    """Save up to 64 faces and their targets in the run folder; an existing file is not replaced.

    Args:
        run: Run folder.
        faces: (N, C, H, W) float, transformed and mixed.
        targets: (N,) int64 labels or (N, classes) distributions.
    """
    path = run.path / FIRST_BATCH
    if path.exists():
        return
    save_tensors(path, {"faces": faces[:MAX_FACES].float(), "labels": targets[:MAX_FACES]})
