"""Models kept on the way, for snapshot ensembles: at the end of every cosine cycle, or every so many iterations.

They lie in the run's folder checkpoints/; `fer-lmdb evaluate runs/NAME/checkpoints` averages them all.
Source: Huang et al., Snapshot ensembles: train 1, get M for free (arXiv 1704.00109)
"""

from __future__ import annotations

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import CHECKPOINTS, RunFolder


def validate_cycles(solver: pl.SolverParameter) -> None:
    """Refuse cycles that cannot be.

    Raises:
        RunError: fewer than one, more than iterations, or cycles of another policy than cosine.
    """
    if solver.keep_every < 0:
        raise RunError(f"keep_every is {solver.keep_every}; it has to be a number of iterations, or 0 for never")
    if not 1 <= solver.cosine_cycles <= solver.max_iter:
        raise RunError(f"{solver.cosine_cycles} cycles in {solver.max_iter} iterations; there has to be one at least")
    if solver.cosine_cycles > 1 and solver.lr_policy != "cosine":
        raise RunError(f'{solver.cosine_cycles} cycles need lr_policy "cosine", found "{solver.lr_policy}"')


def is_checkpoint_due(solver: pl.SolverParameter, iteration: int) -> bool:
    """Tell whether the model after so many iterations is one to keep."""
    if solver.keep_every and iteration % solver.keep_every == 0:
        return True
    cycles, length = solver.cosine_cycles, solver.max_iter
    # A cycle ends where the next one begins, or the training ends; see the policy "cosine".
    return cycles > 1 and iteration * cycles // length > (iteration - 1) * cycles // length


def save_checkpoint(model: Model, folder: RunFolder, iteration: int) -> None:
    """Write the model after so many iterations into the run's folder."""
    checkpoints = folder.stored(CHECKPOINTS)
    checkpoints.mkdir(exist_ok=True)
    model.save(checkpoints / f"{iteration:08d}.safetensors")
