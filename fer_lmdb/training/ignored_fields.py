"""Fields of a user's solver that `fer-lmdb train` does not follow."""

from __future__ import annotations

from pathlib import Path

import prototxt_like as pl
from fer_lmdb.training.options import TrainOptions

IGNORED_FIELDS = {
    "runs on the val split after every epoch": (
        "test_iter",
        "test_interval",
        "test_initialization",
        "test_compute_loss",
        "test_state",
    ),
    "saves a snapshot to the run folder after every epoch": (
        "snapshot",
        "snapshot_prefix",
        "snapshot_after_train",
        "snapshot_diff",
        "snapshot_format",
    ),
    "uses --device": ("solver_mode", "device_id"),
    "uses --init": ("weights",),
    "reads train_val.prototxt of the folder": (
        "net_param",
        "train_net",
        "test_net",
        "train_net_param",
        "test_net_param",
        "train_state",
    ),
    "has no equivalent": (
        "debug_info",
        "layer_wise_reduce",
        "plateau_winsize",
        "show_per_class_result",
        "eval_type",
        "ap_version",
    ),
}
"""What train does instead -> solver fields."""


def describe_ignored_fields(options: TrainOptions) -> str | None:
    """Return one line about the fields of a user's own solver that have no effect, or None.

    The solvers of the zoo contain such fields for Caffe; they are not reported.

    Raises:
        FileError: If the solver file cannot be read.
    """
    solver = pl.SolverParameter()
    folder = Path(options.model)
    if folder.is_dir():
        solver = pl.read_solver(folder / "solver.prototxt")
    if options.solver_text:
        solver.MergeFrom(pl.parse_solver(options.solver_text))
    found = {field.name for field, _ in solver.ListFields()}
    parts = []
    for instead, names in IGNORED_FIELDS.items():
        if ignored := [name for name in names if name in found]:
            parts.append(f"{', '.join(ignored)} (train {instead})")
    return f"solver fields without effect: {'; '.join(parts)}" if parts else None
