"""Checkpoints: models saved at the end of each cosine cycle, or every keep_every iterations.

They are stored in the run's folder checkpoints/. `fer-lmdb evaluate runs/NAME/checkpoints` averages all of them.
Source: Huang et al., Snapshot ensembles: train 1, get M for free (arXiv 1704.00109)
"""

from __future__ import annotations

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import CHECKPOINTS, RunFolder


def validate_checkpoints(solver: pl.SolverParameter) -> None:
    """Check keep_every and cosine_cycles.

    Raises:
        RunError: If a value is out of range, or there are several cycles without lr_policy cosine.
    """
    if solver.keep_every < 0:
        raise RunError(f"keep_every is {solver.keep_every}; it must be a number of iterations, or 0 (off)")
    if not 1 <= solver.cosine_cycles <= solver.max_iter:
        raise RunError(
            f"cosine_cycles is {solver.cosine_cycles}; it must be at least 1 and at most {solver.max_iter} (max_iter)"
        )
    if solver.cosine_cycles > 1 and solver.lr_policy != "cosine":
        raise RunError(
            f'{solver.cosine_cycles} cosine cycles require lr_policy "cosine", found "{solver.lr_policy}"; '
            "add --lr-policy cosine"
        )


def is_checkpoint_due(solver: pl.SolverParameter, iteration: int) -> bool:
    """Return whether the model after this many iterations is saved as a checkpoint."""
    if solver.keep_every and iteration % solver.keep_every == 0:
        return True
    cycles, length = solver.cosine_cycles, solver.max_iter
    # A cycle ends at the first iteration of the next one, or with training; see lr_policy "cosine".
    return cycles > 1 and iteration * cycles // length > (iteration - 1) * cycles // length


def save_checkpoint(model: Model, run: RunFolder, iteration: int) -> None:
    """Save the model after this many iterations in the run folder."""
    folder = run.stored(CHECKPOINTS)
    folder.mkdir(exist_ok=True)
    model.save(folder / f"{iteration:08d}.safetensors")
